//! The cache on async-std: `cargo run --example async_std`.

mod common;

use std::sync::Arc;

use async_std::task;
use common::{CLIENTS, Demo, ROUNDS};

fn main() {
    task::block_on(async {
        let demo = Arc::new(Demo::default());
        for round in 1..=ROUNDS {
            let client = |number| {
                let demo = demo.clone();
                task::spawn(async move { demo.client(number, task::sleep).await })
            };
            let clients: Vec<_> = (0..CLIENTS).map(client).collect();
            for client in clients {
                client.await;
            }
            demo.end_of_round(round).await;
        }
    });
}
