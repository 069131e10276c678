//! The cache on tokio: `cargo run --example tokio`.

mod common;

use std::sync::Arc;

use common::{CLIENTS, Demo, ROUNDS};

#[tokio::main]
async fn main() {
    let demo = Arc::new(Demo::default());
    for round in 1..=ROUNDS {
        let client = |number| {
            let demo = demo.clone();
            tokio::spawn(async move { demo.client(number, tokio::time::sleep).await })
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        for client in clients {
            client.await.expect("a client has panicked");
        }
        demo.end_of_round(round).await;
    }
}
