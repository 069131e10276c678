/* The core of `model/tla/multilock.tla` once more, by another hand and for another tool: see there for the rules. A step is
 * an atomic block. Weak fairness (`-f`) is that of processes, so what a task may do, and what it must, are two processes.
 * Drops and threads are left out.
 *
 * -DM0=X -DM1=X -DM2=S  the modes of three; also M3
 * Rules that are left out:                             What happens:
 * -DKEEPS=0    no waiter makes a reservation           -DDORMANCY=1  waiters stop being polled
 * -DCLAIMS=0   none takes a reservation over           -DOFTEN=1     waiters are polled again and again
 * -DCOUNTS=0   to defer is to lose no race             -DINTIME=0    a moment may be over before woken waiters are polled
 * -DTURNS=0    no side leaves its turn to the other    -DGAP=0       no other task takes a step between a release
 * -DENDS=0     the moment is never over                              and its `wake`
 * -DMOST=4     how many lost races count: seven in the lock, and fewer are enough for fewer tasks */
#ifndef KEEPS
#define KEEPS 1
#endif
#ifndef ENDS
#define ENDS 1
#endif
#ifndef CLAIMS
#define CLAIMS 1
#endif
#ifndef COUNTS
#define COUNTS 1
#endif
#ifndef TURNS
#define TURNS 1
#endif
#ifndef INTIME
#define INTIME 1
#endif
#ifndef DORMANCY
#define DORMANCY 0
#endif
#ifndef MOST
#define MOST 4
#endif
#ifndef GAP
#define GAP 1
#endif
#ifndef OFTEN
#define OFTEN 0
#endif
#ifndef M0
#define M0 X
#define M1 X
#define M2 S
#endif
#ifdef M3
#define N 4
#else
#define N 3
#endif
#define NONE N
/* Modes, and bits of the flags. */
#define S 1
#define U 2
#define X 4
#define O 8
#define W 16 /* an upgradable holder that upgrades */
/* Where a task is. */
#define IDLE 0
#define QUEUED 1
#define DEFERRING 2
#define NOTIFIED 3
#define HOLDING 4
#define LEAVING 5
/* The moment of the reservation. */
#define NEW 0
#define BEGUN 1
#define OVER 2

byte mode[N]; byte st[N]; byte lost[N]; bool over[N]; byte hold[N]; bool dormant[N];
byte where[N];                       /* the list of the waiter: U, X or O; 0: none */
byte order[N] = NONE;                /* the waiters that are in lists, the first of each before the others */
byte owner = NONE; byte claim; bool binds; byte moment; bool counted[N];
bool turnX; byte turnN;              /* whether exclusive waiters had the last turns, or the others, and how many */
byte heldBy[N]; byte sawHeld[N]; byte sawFlags[N];
byte i, j, k, held, flags, n; bool could, must, found, bind, count, others, room; /* local to a step, and zero between steps */
bool ready; bool due;

#define waits(t) (st[t] >= QUEUED && st[t] <= NOTIFIED)
#define woken(t) ((st[t] == DEFERRING || st[t] == NOTIFIED) && !dormant[t])
#define fits(m, h) ((m == S && !(h & (X | W))) || (m == U && !(h & (U | X | W))) || (m == X && h == 0))
#define admits(m, h, f) (fits(m, h) && (h == 0 || !(f & X)))

inline word() {
    held = 0; flags = 0; i = 0;
    do
    :: i < N ->
        if :: st[i] == HOLDING -> held = held | hold[i] :: waits(i) -> flags = flags | mode[i] :: else fi;
        if :: over[i] -> flags = flags | O :: else fi;
        i++
    :: else -> break
    od; i = 0
}
inline clean() { held = 0; flags = 0; i = 0; j = 0; k = 0; n = 0; could = false; must = false; found = false; bind = false; count = false; others = false; room = false }
inline take(t) { /* out of its list */
    i = 0; j = 0;
    do
    :: i < N -> if :: order[i] != t -> if :: j != i -> order[j] = order[i] :: else fi; j++ :: else fi; i++
    :: else -> break
    od;
    do :: j < N -> order[j] = NONE; j++ :: else -> break od;
    i = 0; j = 0; where[t] = 0
}
inline append(t, l) { i = 0; do :: order[i] != NONE -> i++ :: else -> break od; order[i] = t; where[t] = l; i = 0 }
inline prepend(t, l) {
    i = N - 1; do :: i > 0 -> order[i] = order[i - 1]; i-- :: else -> break od;
    order[0] = t; where[t] = l
}
inline uncountAll() { i = 0; do :: i < N -> counted[i] = false; i++ :: else -> break od; i = 0 }
inline unreserve() { owner = NONE; claim = 0; binds = false; moment = NEW; uncountAll() }
inline lose(t) { if :: lost[t] < MOST -> lost[t]++ :: else fi }
inline reserve(t) { /* if it has lost two races, and no other has a reservation that goes before it */
    if
    :: KEEPS && lost[t] >= 2 ->
        if
        :: owner == NONE || owner == t || moment == OVER || (CLAIMS && lost[t] > claim) ->
            owner = t; claim = (CLAIMS -> lost[t] : 0); binds = bind; moment = NEW; uncountAll()
        :: else -> looked()
        fi
    :: else
    fi
}
/* If no waiter is queued, there is no turn. */
#define queued(t) (st[t] == QUEUED || st[t] == DEFERRING)
#if N == 4
#define anyQueued (queued(0) || queued(1) || queued(2) || queued(3))
#else
#define anyQueued (queued(0) || queued(1) || queued(2))
#endif
/* Turns count as long as the other side waits. */
#define otherSideWaits(x) ((x && (flags & (S | U))) || (!x && (flags & X)))
inline keepTurn() { word(); if :: !otherSideWaits(turnX) -> turnN = 0 :: else fi }
inline nextTurn(x) { /* that of exclusive waiters, or of the others, unless they have had theirs */
    if
    :: turnN == 0 || turnX != x -> turnX = x; turnN = 1
    :: turnN == 3 && turnX == x -> turnX = !x; turnN = 1
    :: else -> turnN++
    fi;
    others = !turnX; keepTurn()
}
inline looked() { if :: moment == NEW -> moment = BEGUN :: else fi }
inline judge(t) { /* what a poll of `t` would find */
    word();
    could = ((st[t] == NOTIFIED && fits(mode[t], held)) || (st[t] != NOTIFIED && admits(mode[t], held, flags)));
    must = (owner != NONE && owner != t && (mode[t] != S || mode[owner] == X) && (st[t] != NOTIFIED || binds) && (st[t] != IDLE || (flags & O)))
}
inline poll(t) {
    judge(t);
    if
    :: could && (!must || moment == OVER) ->
        bind = (st[t] == NOTIFIED);
        if :: must || owner == t -> unreserve() :: else -> counted[t] = false fi;
        take(t); st[t] = HOLDING; hold[t] = mode[t]; lost[t] = 0; over[t] = false;
        if
        :: bind && turnN > 0 && turnX == (mode[t] == X) -> turnN = 3
        :: bind && turnX != (mode[t] == X) && mode[t] != S -> turnN = 0
        :: else
        fi;
        keepTurn()
    :: could && must && moment != OVER ->
        if :: st[t] == IDLE && mode[t] != S -> append(t, mode[t]) :: else fi;
        if :: st[t] != NOTIFIED -> st[t] = DEFERRING :: else fi;
        looked();
        if
        :: COUNTS && st[t] == NOTIFIED && !counted[t] -> lose(t); counted[t] = true; bind = true; reserve(t)
        :: else
        fi
    :: !could && st[t] != NOTIFIED ->
        if :: st[t] == IDLE && mode[t] != S -> append(t, mode[t]) :: else fi;
        st[t] = QUEUED
    :: !could && st[t] == NOTIFIED ->
        st[t] = QUEUED; lose(t); over[t] = true;
        if :: mode[t] == X -> append(t, O) :: mode[t] == U -> prepend(t, U) :: else fi;
        reserve(t)
    fi;
    clean()
}
inline upgrade(t) { word(); hold[t] = (held == U -> X : W); clean() }
inline finish(t) { word(); if :: held == W -> hold[t] = X :: else fi; clean() }
inline release(t) {
    st[t] = IDLE; word();
    if :: flags != 0 -> st[t] = LEAVING; heldBy[t] = hold[t]; sawHeld[t] = held; sawFlags[t] = flags :: else fi;
    hold[t] = 0; clean()
}
inline notify(t) {
    take(t); st[t] = NOTIFIED; n++; found = true;
    if :: owner == t -> binds = true; moment = NEW :: else fi;
    /* Those that are woken end the row of the other side, but shared ones not while an upgradable one waits. */
    if :: turnX != (mode[t] == X) && !(mode[t] == S && (flags & U)) -> turnN = 0 :: else fi
}
inline notifyShared(f, h) {
    if
    :: (f & S) && fits(S, h) ->
        k = 0;
        do
        :: k < N -> if :: mode[k] == S && (st[k] == QUEUED || st[k] == DEFERRING) -> notify(k) :: else fi; k++
        :: else -> break
        od; k = 0
    :: else
    fi
}
inline notifyFirst(l) { /* of the list `l` */
    k = 0;
    do
    :: k < N ->
        if
        :: order[k] != NONE && where[order[k]] == l ->
            k = order[k]; notify(k); break
        :: else -> k++
        fi
    :: else -> break
    od; k = 0
}
inline wake(t) {
    room = (heldBy[t] != S || (sawHeld[t] == 0 && sawFlags[t] != S) || ((sawFlags[t] & U) && admits(U, sawHeld[t], sawFlags[t])));
    if
    :: room && !(sawHeld[t] & (X | W)) ->
        word();
        others = (!(sawFlags[t] & X) || heldBy[t] == X);
        if :: TURNS && sawHeld[t] == 0 && (sawFlags[t] & X) && (sawFlags[t] & (S | U)) && anyQueued -> nextTurn((heldBy[t] != X)) :: else fi;
        found = false;
        if :: others -> notifyShared(sawFlags[t], sawHeld[t]) :: else fi;
        if :: others && (sawFlags[t] & U) && fits(U, sawHeld[t]) -> notifyFirst(U) :: else fi;
        if
        :: !found && (sawFlags[t] & X) && sawHeld[t] == 0 ->
            if :: sawFlags[t] & O -> notifyFirst(O) :: else fi;
            if :: !found -> notifyFirst(X) :: else fi;
            if
            :: !found && !others ->
                notifyShared(sawFlags[t], sawHeld[t]);
                if :: (sawFlags[t] & U) && fits(U, sawHeld[t]) -> notifyFirst(U) :: else fi
            :: else
            fi
        :: else
        fi
    :: else
    fi;
    st[t] = IDLE; heldBy[t] = 0; sawHeld[t] = 0; sawFlags[t] = 0; clean()
}

/* In a moment all holders release, all releases end, and all woken waiters are polled. */
inline pass() {
    if
    :: due && moment == BEGUN ->
        room = true;
        do
        :: n < N ->
            if
            :: INTIME && st[n] >= HOLDING -> room = false
            :: INTIME && st[n] == NOTIFIED && !dormant[n] -> judge(n); if :: !(could && must) -> room = false :: else fi
            :: else
            fi;
            n++
        :: else -> break
        od;
        if :: room -> moment = OVER; due = false :: else fi
    :: else -> due = false
    fi;
    clean()
}
#if N == 4
#define otherHolds(t) (st[(t + 1) % N] == HOLDING || st[(t + 2) % N] == HOLDING || st[(t + 3) % N] == HOLDING)
#else
#define otherHolds(t) (st[(t + 1) % N] == HOLDING || st[(t + 2) % N] == HOLDING)
#endif
/* What a task must do: release, wake others, and be polled when woken. */
proctype Must(byte t) {
    do
    :: d_step { ready && (woken(t) || (OFTEN && waits(t) && !dormant[t])) -> poll(t); pass() }
    :: d_step { st[t] == HOLDING && hold[t] == W && !otherHolds(t) -> finish(t); pass() }
    :: d_step { st[t] == HOLDING && hold[t] != W -> release(t); if :: GAP == 0 && st[t] == LEAVING -> wake(t) :: else fi; pass() }
    :: d_step { st[t] == LEAVING -> wake(t); pass() }
    od
}
/* What it may do: acquire the lock, be polled at other times, and stop being polled. */
proctype May(byte t) {
    do
    :: d_step { ready && (st[t] == IDLE || st[t] == QUEUED) && !dormant[t] -> poll(t); pass() }
    :: d_step { st[t] == IDLE && owner != NONE -> judge(t); if :: could && (flags & O) -> if :: moment == OVER -> unreserve() :: else -> looked() fi :: else fi; pass() }
    :: d_step { DORMANCY && waits(t) && !dormant[t] -> dormant[t] = true; pass() }
    :: d_step { st[t] == HOLDING && hold[t] == U -> upgrade(t); pass() }
    :: ready -> skip
    od
}
/* Time passes, sooner or later: from then on the moment is over as soon as it can be. */
proctype Time() { do :: d_step { ENDS && moment == BEGUN && !due -> due = true; pass() } od }
init {
    d_step {
        mode[0] = M0; mode[1] = M1; mode[2] = M2;
#if N == 4
        mode[3] = M3;
#endif
        do :: i < N -> order[i] = NONE; i++ :: else -> break od;
        i = 0; ready = true
    }
    atomic {
        run Must(0); run May(0); run Must(1); run May(1); run Must(2); run May(2);
#if N == 4
        run Must(3); run May(3);
#endif
        run Time()
    }
}

#if N == 4
#define any(p) (p(0) || p(1) || p(2) || p(3))
#else
#define any(p) (p(0) || p(1) || p(2))
#endif
#define isHeld(t, u) (st[t] == HOLDING && st[u] == HOLDING)
#define excludes(t, u) (isHeld(t, u) && (hold[t] == X || hold[u] == X || (hold[t] != S && hold[u] != S)))
#define pair(t) (excludes(t, ((t + 1) % N)) || excludes(t, ((t + 2) % N)))
#define awake(t) (st[t] >= DEFERRING)
ltl exclusion { [] !any(pair) }
/* Where no task holds the lock, or is about to wake others, or was woken, none sleeps. */
ltl noLostWakeUp { [] (!any(waits) || any(awake)) }
ltl progress { [] (waits(0) -> <> (!waits(0) || dormant[0])) }
