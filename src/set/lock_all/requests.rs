//! What [`lock_all`](crate::lock_all) takes: several requests, in a tuple, an array, a slice or a
//! vector.

use core::panic::Location;
use core::ptr;

use crate::error::DuplicateLock;
use crate::lock::MultiLock;
use crate::mode::Mode;
use crate::set::address_order::AsGiven;
use crate::set::told::{Event, Record};

pub(crate) mod sealed {
    use crate::lock::MultiLock;
    use crate::mode::Mode;
    use crate::set::told::{Event, Record};

    /// A lock, and the mode in which it is wanted.
    ///
    /// The lock stays the same, and stays at the same address, even if the request is moved.
    pub trait Request {
        #[doc(hidden)]
        fn lock(&self) -> &MultiLock;

        #[doc(hidden)]
        fn mode(&self) -> Mode;

        /// What the observer of the lock is told of the acquisition.
        #[doc(hidden)]
        type Record: Record;

        /// Tells the observer of the lock.
        #[doc(hidden)]
        #[inline]
        fn tell(&self, _record: &mut Self::Record, _event: Event) {}
    }

    /// [`Request`] by the name that the documentation shows.
    pub trait Sealed: Request {}

    impl<R: Request> Sealed for R {}
}

/// A lock, and the mode in which [`lock_all`](crate::lock_all) is to acquire it.
///
/// [`RwLock::reading`](crate::RwLock::reading), [`upgrading`](crate::RwLock::upgrading) and
/// [`writing`](crate::RwLock::writing), [`MultiLock::in_mode`] and their forms with `_arc` return
/// requests. A request acquires nothing by itself, and may be used any number of times. Only this
/// crate implements the trait.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// use multilock::requests::LockRequest;
/// use multilock::{RwLock, lock_all};
///
/// async fn both<A: LockRequest, B: LockRequest>(a: A, b: B) -> (A::Guard, B::Guard) {
///     lock_all((a, b)).await
/// }
///
/// let (a, b) = (RwLock::new(1), RwLock::new("b"));
/// let (mut first, second) = both(a.writing(), b.reading()).await;
/// *first += second.len();
/// # });
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a request for a lock in a mode",
    note = "use `lock.reading()`, `lock.upgrading()` or `lock.writing()` of an `RwLock`, or \
            `lock.in_mode(mode)` of a `MultiLock`"
)]
pub trait LockRequest: sealed::Sealed {
    /// The guard that stands for the acquisition.
    type Guard;

    /// Makes the guard.
    ///
    /// # Safety
    ///
    /// The caller has acquired the lock in the mode, and gives the acquisition up.
    #[doc(hidden)]
    unsafe fn into_guard(self, record: Self::Record) -> Self::Guard;
}

/// Requests for [`lock_all`](crate::lock_all): a tuple of up to twelve, or an array, a slice or a
/// vector of one type of requests, or any of these as [`CheckedLocks`].
///
/// Only this crate implements the trait.
///
/// # Examples
///
/// ```
/// # futures_lite::future::block_on(async {
/// use multilock::requests::LockRequests;
/// use multilock::{RwLock, lock_all};
///
/// async fn with_all<R: LockRequests, T>(requests: R, f: impl FnOnce(R::Guards) -> T) -> T {
///     f(lock_all(requests).await)
/// }
///
/// let (a, b) = (RwLock::new(1), RwLock::new(2));
/// let sum = with_all((a.reading(), b.reading()), |(a, b)| *a + *b).await;
/// assert_eq!(sum, 3);
/// # });
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` names no locks and modes for `lock_all`",
    note = "use a tuple of up to twelve requests, as `(a.reading(), b.writing())`, or an array, a \
            slice or a vector of requests of one type"
)]
pub trait LockRequests: Sealed + Sized {
    /// The guards: a tuple for a tuple, an array for an array, a vector for a slice or a vector.
    type Guards;

    /// The memory that the guards need, if it is allocated.
    #[doc(hidden)]
    type Room;

    #[doc(hidden)]
    fn room(&self) -> Self::Room;

    /// Makes the guards. Neither allocates nor panics.
    ///
    /// # Safety
    ///
    /// The caller has acquired each lock in its mode, once for each request, and gives these
    /// acquisitions up.
    #[doc(hidden)]
    unsafe fn into_guards(self, room: Self::Room, records: Self::Records) -> Self::Guards;

    /// What the observers of the locks are told of the acquisitions.
    #[doc(hidden)]
    type Records: Send + Sync;

    /// Returns the records of acquisitions that the observers know nothing of.
    #[doc(hidden)]
    fn records(&self, site: &'static Location<'static>) -> Self::Records;

    /// Tells the observers.
    #[doc(hidden)]
    fn tell(&self, records: &mut Self::Records, event: Event);

    /// Looks for two requests that name the same lock, of which one is not shared.
    #[doc(hidden)]
    fn check(&self) -> Result<(), DuplicateLock> {
        let mut found = Ok(());
        let mut second = 0;
        self.for_each_given(|lock, second_mode| {
            let mut first = 0;
            self.for_each_given(|other, first_mode| {
                let excludes = first_mode.max(second_mode) != Mode::Shared;
                if first < second && excludes && ptr::eq(lock, other) && found.is_ok() {
                    found = Err(DuplicateLock { first, first_mode, second, second_mode });
                }
                first += 1;
            });
            second += 1;
        });
        found
    }
}

/// [`AsGiven`] by the name that the documentation shows.
pub trait Sealed: AsGiven {}

impl<R: AsGiven> Sealed for R {}

/// Requests that name no lock twice, except in shared mode: [`lock_all`](crate::lock_all) does not
/// panic for them.
///
/// Check requests in this way if it depends on the input whether they name a lock twice. All
/// functions that take requests take these, and do not check them again. If the requests are
/// `Copy` or `Clone`, the result is, too, and may be used any number of times.
///
/// # Examples
///
/// ```
/// use multilock::{CheckedLocks, DuplicateLock, RwLock, lock_all};
///
/// async fn transfer(
///     accounts: &[RwLock<u64>],
///     from: usize,
///     to: usize,
///     amount: u64,
/// ) -> Result<(), DuplicateLock> {
///     let requests = CheckedLocks::new([accounts[from].writing(), accounts[to].writing()])?;
///     let [mut from, mut to] = lock_all(requests).await;
///     *from -= amount;
///     *to += amount;
///     Ok(())
/// }
///
/// # futures_lite::future::block_on(async {
/// let accounts = [RwLock::new(10), RwLock::new(0)];
/// assert!(transfer(&accounts, 0, 1, 5).await.is_ok());
/// assert!(transfer(&accounts, 1, 1, 5).await.is_err());
/// # });
/// ```
#[derive(Clone, Copy, Debug)]
#[must_use = "the locks are not acquired: pass the requests to `lock_all`"]
pub struct CheckedLocks<R>(R);

impl<R: LockRequests> CheckedLocks<R> {
    /// Checks that no two of the requests name the same lock, unless both are shared. Acquires
    /// nothing, and looks at no lock.
    ///
    /// # Errors
    ///
    /// Returns the positions and the modes of the first two requests for which that is not so.
    ///
    /// # Examples
    ///
    /// ```
    /// use multilock::{CheckedLocks, RwLock};
    ///
    /// let (a, b) = (RwLock::new(1), RwLock::new(2));
    /// assert!(CheckedLocks::new((a.reading(), a.reading(), b.writing())).is_ok());
    /// let error = CheckedLocks::new((b.writing(), a.reading(), b.reading())).unwrap_err();
    /// assert_eq!((error.first, error.second), (0, 2));
    /// ```
    pub fn new(requests: R) -> Result<Self, DuplicateLock> {
        requests.check().map(|()| Self(requests))
    }
}

impl<R: LockRequests> AsGiven for CheckedLocks<R> {
    fn for_each_given<'a>(&'a self, f: impl FnMut(&'a MultiLock, Mode)) {
        self.0.for_each_given(f);
    }
}

impl<R: LockRequests> LockRequests for CheckedLocks<R> {
    type Guards = R::Guards;
    type Room = R::Room;

    fn room(&self) -> R::Room {
        self.0.room()
    }

    unsafe fn into_guards(self, room: R::Room, records: R::Records) -> R::Guards {
        // SAFETY: as the caller promises.
        unsafe { self.0.into_guards(room, records) }
    }

    type Records = R::Records;

    #[inline]
    fn records(&self, site: &'static Location<'static>) -> R::Records {
        self.0.records(site)
    }

    #[inline]
    fn tell(&self, records: &mut R::Records, event: Event) {
        self.0.tell(records, event);
    }

    fn check(&self) -> Result<(), DuplicateLock> {
        Ok(())
    }
}

macro_rules! tuples {
    ($($Request:ident $n:tt),+) => {
        impl<$($Request: LockRequest),+> AsGiven for ($($Request,)+) {
            fn for_each_given<'a>(&'a self, mut f: impl FnMut(&'a MultiLock, Mode)) {
                $(f(self.$n.lock(), self.$n.mode());)+
            }
        }

        impl<$($Request: LockRequest),+> LockRequests for ($($Request,)+) {
            type Guards = ($($Request::Guard,)+);
            type Room = ();

            fn room(&self) {}

            unsafe fn into_guards(self, (): (), records: Self::Records) -> Self::Guards {
                // SAFETY: as the caller promises, for each of the requests.
                unsafe { ($(self.$n.into_guard(records.$n),)+) }
            }

            type Records = ($($Request::Record,)+);

            #[inline]
            fn records(&self, site: &'static Location<'static>) -> Self::Records {
                ($($Request::Record::new(self.$n.mode(), site),)+)
            }

            #[inline]
            fn tell(&self, records: &mut Self::Records, event: Event) {
                $(self.$n.tell(&mut records.$n, event);)+
            }
        }
    };
}
tuples! { A 0 }
tuples! { A 0, B 1 }
tuples! { A 0, B 1, C 2 }
tuples! { A 0, B 1, C 2, D 3 }
tuples! { A 0, B 1, C 2, D 3, E 4 }
tuples! { A 0, B 1, C 2, D 3, E 4, F 5 }
tuples! { A 0, B 1, C 2, D 3, E 4, F 5, G 6 }
tuples! { A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7 }
tuples! { A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8 }
tuples! { A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9 }
tuples! { A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10 }
tuples! { A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11 }

/// Implements [`AsGiven`] for what has a slice of requests.
macro_rules! given_by_slice {
    ($([$($generics:tt)*] $Type:ty)*) => {$(
        impl<R: LockRequest, $($generics)*> AsGiven for $Type {
            fn for_each_given<'a>(&'a self, mut f: impl FnMut(&'a MultiLock, Mode)) {
                self.iter().for_each(|request| f(request.lock(), request.mode()));
            }
        }
    )*};
}
#[cfg(feature = "alloc")]
pub(super) use given_by_slice;

given_by_slice! { [const N: usize] [R; N] }

impl<R: LockRequest, const N: usize> LockRequests for [R; N] {
    type Guards = [R::Guard; N];
    type Room = ();

    fn room(&self) {}

    unsafe fn into_guards(self, (): (), records: [R::Record; N]) -> Self::Guards {
        let mut n = 0;
        self.map(|request| {
            let record = records[n];
            n += 1;
            // SAFETY: as the caller promises, for each of the requests.
            unsafe { request.into_guard(record) }
        })
    }

    type Records = [R::Record; N];

    #[inline]
    fn records(&self, site: &'static Location<'static>) -> Self::Records {
        self.each_ref().map(|request| Record::new(request.mode(), site))
    }

    #[inline]
    fn tell(&self, records: &mut Self::Records, event: Event) {
        self.iter().zip(records).for_each(|(request, record)| request.tell(record, event));
    }
}
