//! The cache on smol: `cargo run --example smol`.

mod common;

use std::sync::Arc;

use common::{CLIENTS, Demo, ROUNDS};

fn main() {
    smol::block_on(async {
        let demo = Arc::new(Demo::default());
        for round in 1..=ROUNDS {
            let client = |number| {
                let demo = demo.clone();
                smol::spawn(async move { demo.client(number, smol::Timer::after).await })
            };
            let clients: Vec<_> = (0..CLIENTS).map(client).collect();
            for client in clients {
                client.await;
            }
            demo.end_of_round(round).await;
        }
    });
}
