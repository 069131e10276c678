//! A page of a shop. Each click starts a task, and all tasks share what the shop has, behind one lock.
//!
//! ```text
//! ci/example-web                            builds the page in `pkg`, and tests it in a browser
//! python3 -m http.server -d examples/web    serves it
//! ```
//!
//! `wasm-pack build --target web` builds it as well. The test is `tests/page.mjs`.
//!
//! A page has one thread, but while a task awaits, others run. So a task that awaits in the middle of a change needs a
//! lock, and no task may block to wait for it: the page would freeze. The page shows these uses of the lock:
//! * `changes`: a task shows each change of the data, whichever task has made it.
//! * `upgradable_read`: the first customer loads the stock, once, however many others ask for it at the same time.
//! * `write_when_or`: a customer waits until there is something to buy, or until a timer ends.
//! * `write`: a delivery holds the lock across an await.
//! * `read_or`: a look at the shelf ends after a moment, even if a delivery holds the lock.

use futures_util::StreamExt;
use gloo_timers::future::TimeoutFuture as Timer;
use multilock::{RwLock, RwLockUpgradableReadGuard};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::spawn_local;

/// How long, in milliseconds, the server takes to answer.
const LOAD_TIME: u32 = 500;
/// How long a delivery takes.
const DELIVERY_TIME: u32 = 1_000;
/// How long a customer waits for something to buy.
const BUY_LIMIT: u32 = 3_000;
/// How long a look at the shelf may take.
const LOOK_LIMIT: u32 = 100;

struct Shop {
    /// `None` until it is loaded.
    stock: Option<u32>,
    loads: u32,
    sold: u32,
}

static SHOP: RwLock<Shop> = RwLock::new(Shop { stock: None, loads: 0, sold: 0 });

#[wasm_bindgen(start)]
fn start() {
    spawn_local(follow());
}

/// Shows each change.
async fn follow() {
    let mut changes = SHOP.changes();
    loop {
        let shop = SHOP.read().await;
        show("stock", &on_the_shelf(&shop));
        show("loads", &shop.loads.to_string());
        show("sold", &shop.sold.to_string());
        // Otherwise no task could change anything until the next change.
        drop(shop);
        changes.next().await;
    }
}

/// Serves a customer.
#[wasm_bindgen]
pub async fn buy(customer: u32) {
    load().await;
    // A delivery ends the wait, and need not signal anything. If several customers wait, each one buys in its turn.
    let bought = SHOP.write_when_or(|shop| shop.stock > Some(0), Timer::new(BUY_LIMIT)).await;
    let Ok(mut shop) = bought else { return log(&format!("customer {customer} has left")) };
    shop.stock = shop.stock.map(|stock| stock - 1);
    shop.sold += 1;
    log(&format!("customer {customer} has bought"));
}

/// Loads the stock, unless it is loaded.
async fn load() {
    // One task at a time is upgradable. The others wait here, and readers go on while it loads the stock.
    let shop = SHOP.upgradable_read().await;
    if shop.stock.is_some() {
        return;
    }
    let stock = fetch_stock().await;
    let mut shop = RwLockUpgradableReadGuard::upgrade(shop).await;
    shop.stock = Some(stock);
    shop.loads += 1;
}

/// Stands for a request to a server.
async fn fetch_stock() -> u32 {
    Timer::new(LOAD_TIME).await;
    2
}

/// Delivers three pieces, one after another. No task sees the stock in between.
#[wasm_bindgen]
pub async fn deliver() {
    load().await;
    let mut shop = SHOP.write().await;
    for _ in 0..3 {
        Timer::new(DELIVERY_TIME / 3).await;
        shop.stock = shop.stock.map(|stock| stock + 1);
    }
}

/// Looks at the shelf.
#[wasm_bindgen]
pub async fn look() {
    match SHOP.read_or(Timer::new(LOOK_LIMIT)).await {
        Ok(shop) => log(&format!("on the shelf: {}", on_the_shelf(&shop))),
        Err(_) => log("the shelf is being filled"),
    }
}

fn on_the_shelf(shop: &Shop) -> String {
    shop.stock.map_or_else(|| "not loaded".into(), |stock| stock.to_string())
}

fn show(id: &str, text: &str) {
    element(id).set_text_content(Some(text));
}

fn log(line: &str) {
    element("log").append_with_str_1(&format!("{line}\n")).expect("it is in the page");
}

fn element(id: &str) -> web_sys::Element {
    let document = web_sys::window().and_then(|window| window.document());
    document.and_then(|document| document.get_element_by_id(id)).expect("it is in the page")
}
