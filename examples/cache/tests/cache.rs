//! The promises of the cache, with futures that are polled by hand.

use std::future::{pending, ready};
use std::pin::{Pin, pin};

use cache_example::{Cache, Stats};
use smol::block_on;
use smol::channel::{Receiver, bounded};
use smol::future::poll_once;

type Result<V> = std::result::Result<V, &'static str>;

/// One poll of a future: its output, if it is ready.
fn poll<F: Future>(future: &mut Pin<&mut F>) -> Option<F::Output> {
    block_on(poll_once(future))
}

/// Loads what is sent.
async fn sent(values: Receiver<u32>) -> Result<u32> {
    values.recv().await.map_err(|_| "nothing was sent")
}

/// For callers that must not load.
async fn never() -> Result<u32> {
    panic!("this one must not load");
}

#[test]
fn one_loads_and_the_others_wait() {
    let cache = Cache::new();
    let (send, values) = bounded(1);
    let mut first = pin!(cache.get_or_load(&'a', sent(values)));
    let mut second = pin!(cache.get_or_load(&'a', never()));
    let mut third = pin!(cache.get_or_load(&'a', never()));
    assert_eq!((poll(&mut first), poll(&mut second), poll(&mut third)), (None, None, None));
    send.try_send(7).unwrap();
    assert_eq!(poll(&mut second), None);
    assert_eq!(poll(&mut first), Some(Ok(7)));
    assert_eq!((poll(&mut third), poll(&mut second)), (Some(Ok(7)), Some(Ok(7))));
    assert_eq!(block_on(cache.get_or_load(&'a', never())), Ok(7));
    assert_eq!(block_on(cache.stats()), Stats { keys: 1, hits: 3, loads: 1, failures: 0 });
}

#[test]
fn other_values_are_loaded_meanwhile() {
    let cache = Cache::new();
    let mut first = pin!(cache.get_or_load(&'a', pending::<Result<u32>>()));
    assert_eq!(poll(&mut first), None);
    let mut second = pin!(cache.get_or_load(&'b', ready(Ok::<_, &str>(8))));
    assert_eq!(poll(&mut second), Some(Ok(8)));
    assert_eq!(poll(&mut pin!(cache.stats())).map(|stats| stats.keys), Some(2));
}

#[test]
fn when_the_loading_task_is_dropped_another_one_loads() {
    let cache = Cache::new();
    let mut second = pin!(cache.get_or_load(&'a', ready(Ok::<_, &str>(8))));
    {
        let mut first = pin!(cache.get_or_load(&'a', pending::<Result<u32>>()));
        assert_eq!((poll(&mut first), poll(&mut second)), (None, None));
    }
    assert_eq!(poll(&mut second), Some(Ok(8)));
    assert_eq!(block_on(cache.get_or_load(&'a', never())), Ok(8));
}

#[test]
fn an_error_is_returned_to_the_loading_task_only() {
    let cache = Cache::new();
    let (send, values) = bounded(1);
    let mut first = pin!(cache.get_or_load(&'a', sent(values)));
    let mut second = pin!(cache.get_or_load(&'a', ready(Ok::<_, &str>(8))));
    assert_eq!((poll(&mut first), poll(&mut second)), (None, None));
    drop(send);
    assert_eq!(poll(&mut first), Some(Err("nothing was sent")));
    assert_eq!(poll(&mut second), Some(Ok(8)));
    assert_eq!(block_on(cache.stats()), Stats { keys: 1, hits: 0, loads: 1, failures: 1 });
}

#[test]
fn a_value_expires_and_can_be_read_until_there_is_a_new_one() {
    let cache = Cache::new();
    assert_eq!(block_on(cache.get_stale(&'a')), None);
    assert_eq!(block_on(cache.get_or_load(&'a', ready(Ok::<_, &str>(7)))), Ok(7));
    block_on(cache.expire());
    let (send, values) = bounded(1);
    let mut load = pin!(cache.get_or_load(&'a', sent(values)));
    assert_eq!(poll(&mut load), None);
    assert_eq!(poll(&mut pin!(cache.get_stale(&'a'))), Some(Some(7)));
    send.try_send(8).unwrap();
    assert_eq!(poll(&mut load), Some(Ok(8)));
    assert_eq!(block_on(cache.get_stale(&'a')), Some(8));
    assert_eq!(block_on(cache.get_or_load(&'a', never())), Ok(8));
}

/// A load that began before may have seen an outdated source.
#[test]
fn a_value_that_is_loaded_while_it_expires_is_for_earlier_callers_only() {
    for old in [false, true] {
        let cache = Cache::new();
        if old {
            block_on(cache.get_or_load(&'a', ready(Ok::<_, &str>(6)))).unwrap();
            block_on(cache.expire());
        }
        let (send, values) = bounded(1);
        let mut first = pin!(cache.get_or_load(&'a', sent(values)));
        let mut before = pin!(cache.get_or_load(&'a', never()));
        assert_eq!((poll(&mut first), poll(&mut before)), (None, None));
        assert_eq!(poll(&mut pin!(cache.expire())), Some(()));
        let mut after = pin!(cache.get_or_load(&'a', ready(Ok::<_, &str>(8))));
        let early = poll(&mut after);
        send.try_send(7).unwrap();
        assert_eq!((poll(&mut first), poll(&mut before)), (Some(Ok(7)), Some(Ok(7))));
        assert_eq!(early.or_else(|| poll(&mut after)), Some(Ok(8)));
        assert_eq!(block_on(cache.get_or_load(&'a', never())), Ok(8));
    }
}

#[test]
fn unused_keys_are_removed() {
    let cache = Cache::new();
    let load = |key, value| block_on(cache.get_or_load(&key, ready(Ok::<_, &str>(value)))).unwrap();
    assert_eq!((load('a', 1), load('b', 2)), (1, 2));
    block_on(cache.expire());
    assert_eq!((load('a', 3), block_on(cache.stats()).keys), (3, 2));
    block_on(cache.expire());
    assert_eq!(block_on(cache.stats()).keys, 1);
    // The same for a key that has never had a value.
    assert_eq!(
        block_on(cache.get_or_load(&'c', ready(Err("there is none")))),
        Err("there is none")
    );
    assert_eq!((load('a', 3), block_on(cache.stats()).keys), (3, 2));
    block_on(cache.expire());
    assert_eq!(block_on(cache.stats()).keys, 1);
    assert_eq!((block_on(cache.get_stale(&'a')), block_on(cache.get_stale(&'b'))), (Some(3), None));
}

/// The future can be spawned on any executor.
#[test]
fn futures_can_be_sent() {
    fn send<T: Send>(_: &T) {}
    let cache = Cache::<String, u32>::new();
    let key = String::from("a");
    send(&cache.get_or_load(&key, sent(bounded(1).1)));
    send(&cache.get_stale(&key));
    send(&cache.expire());
    send(&cache.stats());
}
