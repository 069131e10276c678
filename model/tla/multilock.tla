------------------------------ MODULE multilock ------------------------------
(* The lock of `src/raw/DESIGN.md`, in its words: tasks that acquire it again and again, each in one mode. Threads,    *)
(* upgrades, sets, tries and the limit of shared holders are left out. One step is one write of the word, with what is *)
(* done in the same critical section of the queue; the critical sections of one `wake` are one step. Left out, too, is *)
(* that a waiter which has lost more races takes a reservation over, that to defer to one is to lose a race, and that  *)
(* shared waiters do not have two turns while an exclusive one sleeps: see `docs/protocol.md`.                         *)
EXTENDS Naturals, Sequences

CONSTANTS Tasks, None,
  Mode,      \* the mode of each task: "S", "U" or "X"
  Keeps,     \* an overtaken waiter reserves the lock
  Ends,      \* the moment of a reservation is over at some time
  Dormancy,  \* a waiter may stop being polled, at any point of its wait
  Drops,     \* a waiter may be dropped, at any point of its wait
  Prompt     \* a woken waiter is polled before the others enter more often than this; 0: at any time
VARIABLES st,       \* "idle", "queued", "deferring" (queued, and woken by itself), "notified", "holding", "leaving" or "gone"
  lost,             \* how many races the waiter has lost: it is counted as overtaken from the first on
  list, resv, turn, \* the queue: its lists, the reservation, and whose turn was last
  wakes,            \* for each task that is leaving, what it saw in the word
  dormant, late     \* those that are not polled; how often the others entered since the waiter was polled
queue == <<list, resv, turn>>
vars == <<st, lost, queue, wakes, dormant, late>>

Free == [owner |-> None, binds |-> FALSE, moment |-> "new"]
Init == /\ st = [t \in Tasks |-> "idle"] /\ lost = [t \in Tasks |-> 0] /\ late = [t \in Tasks |-> 0]
        /\ list = [l \in {"U", "X", "O"} |-> <<>>] /\ resv = Free /\ turn = "S" /\ wakes = {} /\ dormant = {}

Waits(t) == st[t] \in {"queued", "deferring", "notified"}
Woken(t) == st[t] \in {"deferring", "notified"} /\ t \notin dormant
(* The word: the modes that are held, and the waiting flags, with "O" for overtaken. A flag is set iff its count is not zero. *)
WordOf(s, l) ==
  [held |-> {Mode[t] : t \in {u \in Tasks : s[u] = "holding"}},
   flags |-> {Mode[t] : t \in {u \in Tasks : s[u] \in {"queued", "deferring", "notified"}}}
             \cup (IF \E t \in Tasks : l[t] > 0 THEN {"O"} ELSE {})]
Word == WordOf(st, lost)
(* `fits`: the holders leave room. That is enough for a notified waiter. *)
Fits(m, w) == w.held \cap (CASE m = "S" -> {"X"} [] m = "U" -> {"U", "X"} [] m = "X" -> {"S", "U", "X"}) = {}
(* `admits`, for other waiters: the mode fits, and the lock is free or no exclusive waiter is counted. *)
Admits(m, w) == Fits(m, w) /\ (w.held = {} \/ "X" \notin w.flags)
Could(t) == IF st[t] = "notified" THEN Fits(Mode[t], Word) ELSE Admits(Mode[t], Word)
(* Other waiters that could exclude the owner of the reservation defer to it; notified ones once the owner was notified, too. *)
MustDefer(t) == /\ resv.owner \notin {None, t}
                /\ Mode[t] # "S" \/ Mode[resv.owner] = "X"
                /\ st[t] = "notified" => resv.binds

Joined(t) == IF st[t] = "idle" /\ Mode[t] # "S" THEN [list EXCEPT ![Mode[t]] = Append(@, t)] ELSE list
Without(t) == [l \in DOMAIN list |-> SelectSeq(list[l], LAMBDA u : u # t)]
Unreserved(t) == IF resv.owner = t THEN Free ELSE resv
GiveBack(t) == IF turn = Mode[t] THEN "S" ELSE turn
Polled(t) == late' = [late EXCEPT ![t] = 0]
(* A look at the moment begins it. *)
Looked == IF resv.moment = "new" THEN [resv EXCEPT !.moment = "begun"] ELSE resv

(* A waiter or newcomer that is polled enters if it could, unless it defers. A waiter that finds the moment over ends the reservation. *)
Enter(t) ==
  /\ Could(t) /\ (MustDefer(t) => resv.moment = "over")
  /\ \A u \in Tasks \ {t} : Woken(u) /\ Prompt > 0 => late[u] < Prompt \/ late[t] = Prompt
  /\ late' = [u \in Tasks |-> IF u # t /\ Woken(u) /\ late[u] < Prompt THEN late[u] + 1 ELSE IF u = t THEN 0 ELSE late[u]]
  /\ st' = [st EXCEPT ![t] = "holding"] /\ lost' = [lost EXCEPT ![t] = 0]
  /\ list' = Without(t) /\ resv' = (IF MustDefer(t) THEN Free ELSE Unreserved(t))
  /\ UNCHANGED <<turn, wakes, dormant>>
(* Else it defers: it wakes itself, and looks again. A notified waiter stays notified. *)
Defer(t) ==
  /\ Could(t) /\ MustDefer(t) /\ resv.moment # "over"
  /\ st' = [st EXCEPT ![t] = IF @ = "notified" THEN @ ELSE "deferring"]
  /\ list' = Joined(t) /\ resv' = Looked /\ Polled(t)
  /\ UNCHANGED <<lost, turn, wakes, dormant>>
(* Or it is queued, and sets its flag in the same write. *)
Wait(t) ==
  /\ ~Could(t) /\ st[t] # "notified"
  /\ st' = [st EXCEPT ![t] = "queued"] /\ list' = Joined(t) /\ Polled(t)
  /\ UNCHANGED <<lost, resv, turn, wakes, dormant>>
(* A notified waiter that finds the lock held was overtaken. Exclusive ones have a list of their own, an upgradable one goes to the   *)
(* front. A waiter that has lost two races makes the reservation, or looks at the moment of another's.                               *)
Overtaken(t) ==
  /\ ~Could(t) /\ st[t] = "notified"
  /\ st' = [st EXCEPT ![t] = "queued"] /\ lost' = [lost EXCEPT ![t] = IF @ < 2 THEN @ + 1 ELSE @]
  /\ list' = CASE Mode[t] = "X" -> [list EXCEPT !["O"] = Append(@, t)]
               [] Mode[t] = "U" -> [list EXCEPT !["U"] = <<t>> \o @]
               [] Mode[t] = "S" -> list
  /\ resv' = IF ~Keeps \/ lost'[t] < 2 THEN resv
             ELSE IF resv.owner \in {None, t} \/ resv.moment = "over" THEN [Free EXCEPT !.owner = t] ELSE Looked
  /\ turn' = GiveBack(t) /\ Polled(t)
  /\ UNCHANGED <<wakes, dormant>>
Poll(t) == /\ t \notin dormant /\ (Waits(t) \/ st[t] = "idle")
           /\ Enter(t) \/ Defer(t) \/ Wait(t) \/ Overtaken(t)
(* A newcomer yields one poll while a waiter is counted as overtaken, and looks at the moment. It need not: 255 others may have yielded. *)
Yield(t) == /\ st[t] = "idle" /\ Could(t) /\ resv.owner # None
            /\ resv' = (IF resv.moment = "over" THEN Free ELSE Looked)
            /\ UNCHANGED <<st, lost, list, turn, wakes, dormant, late>>
(* In a moment all holders release, all releases end, and all woken waiters are polled. Those that defer, or are dormant, are left. *)
Tick == /\ Ends /\ resv.moment = "begun" /\ wakes = {}
        /\ \A t \in Tasks : st[t] # "holding" /\ (st[t] = "notified" /\ t \notin dormant => Could(t) /\ MustDefer(t))
        /\ resv' = [resv EXCEPT !.moment = "over"]
        /\ UNCHANGED <<st, lost, list, turn, wakes, dormant, late>>

(* A holder that leaves, or a waiter that is dropped, wakes others if it sees a flag: what it saw is the word that it wrote. *)
Leave(t, left, wakesOthers(_)) ==
  LET s == [st EXCEPT ![t] = IF left = "none" THEN "gone" ELSE "idle"]  w == WordOf(s, lost')  does == w.flags # {} /\ wakesOthers(w)
  IN  /\ lost' = [lost EXCEPT ![t] = 0]
      /\ list' = Without(t) /\ resv' = Unreserved(t) /\ dormant' = dormant \ {t} /\ Polled(t)
      /\ st' = IF does THEN [s EXCEPT ![t] = "leaving"] ELSE s
      /\ wakes' = IF does THEN wakes \cup {[by |-> t, left |-> left, held |-> w.held, flags |-> w.flags]} ELSE wakes
Release(t) == st[t] = "holding" /\ Leave(t, Mode[t], LAMBDA w : TRUE) /\ UNCHANGED turn
(* A dropped waiter, which never comes again, does so if it was notified and is not shared, or is the last shared or exclusive one. *)
Drop(t) == /\ Drops /\ Waits(t)
           /\ turn' = IF st[t] = "notified" THEN GiveBack(t) ELSE turn
           /\ Leave(t, "none", LAMBDA w : \/ Mode[t] # "S" /\ st[t] = "notified"
                                          \/ Mode[t] # "U" /\ Mode[t] \notin w.flags)

First(l) == IF list[l] = <<>> THEN {} ELSE {Head(list[l])}
(* No exclusive waiter is counted: all shared waiters and the first upgradable one. After an exclusive hold, the same; after any other,  *)
(* once the lock is free, one exclusive waiter, overtaken ones first. Upgradable and exclusive waiters, where both wait, alternate.      *)
(* If all whose turn it is were notified before, it is the turn of the others.                                                          *)
Turns(c) ==
  LET xWaits == "X" \in c.flags  free == c.held = {}
      turnS == c.left = "X" \/ ~xWaits
      turnU == IF xWaits /\ "U" \in c.flags /\ turn # "S" THEN turn = "X" ELSE turnS
      s == IF "S" \in c.flags /\ Fits("S", c) THEN {t \in Tasks : Mode[t] = "S" /\ st[t] \in {"queued", "deferring"}} ELSE {}
      u == IF "U" \in c.flags /\ Fits("U", c) THEN First("U") ELSE {}
      x == IF "O" \in c.flags /\ list["O"] # <<>> THEN First("O") ELSE First("X")
      first == (IF turnS THEN s ELSE {}) \cup (IF turnU /\ (turnS \/ free) THEN u ELSE {})
      madeRoom == c.left # "S" \/ (free /\ c.flags # {"S"}) \/ ("U" \in c.flags /\ Admits("U", c))
  IN  CASE ~madeRoom \/ "X" \in c.held -> {}
        [] OTHER -> IF first # {} \/ ~xWaits \/ ~free THEN first
                    ELSE IF x # {} THEN x ELSE (IF turnS THEN {} ELSE s) \cup (IF turnU THEN {} ELSE u)
(* A waiter is notified: taken out of its list, and woken. If it is the owner of the reservation, the moment begins anew. *)
Wake(c) ==
  LET n == Turns(c)  modes == {Mode[t] : t \in n}  both == {"U", "X"} \subseteq c.flags
  IN  /\ wakes' = wakes \ {c}
      /\ st' = [t \in Tasks |-> IF t \in n THEN "notified" ELSE IF t # c.by THEN st[t] ELSE IF c.left = "none" THEN "gone" ELSE "idle"]
      /\ list' = [l \in DOMAIN list |-> SelectSeq(list[l], LAMBDA t : t \notin n)]
      /\ turn' = IF both /\ "U" \in modes THEN "U" ELSE IF both /\ "X" \in modes THEN "X" ELSE turn
      /\ resv' = IF resv.owner \in n THEN [resv EXCEPT !.binds = TRUE, !.moment = "new"] ELSE resv
      /\ UNCHANGED <<lost, dormant, late>>
Sleep(t) == /\ Dormancy /\ Waits(t) /\ dormant' = dormant \cup {t} /\ Polled(t)
            /\ UNCHANGED <<st, lost, queue, wakes>>

Leaves(t) == Release(t) \/ \E c \in wakes : c.by = t /\ Wake(c)
Next == Tick \/ \E t \in Tasks : Poll(t) \/ Yield(t) \/ Leaves(t) \/ Drop(t) \/ Sleep(t)
(* Holders release, and a release wakes. Time passes. Woken tasks are polled; dormant ones are not. No task has to acquire the lock. *)
Spec == Init /\ [][Next]_vars /\ SF_vars(Tick) /\ \A t \in Tasks : WF_vars(Leaves(t) \/ (Woken(t) /\ Poll(t)))
(* The same, for waiters that are polled again and again, as in a `select!` in a loop. *)
SpecOften == Init /\ [][Next]_vars /\ SF_vars(Tick) /\ \A t \in Tasks : WF_vars(Leaves(t) \/ (Waits(t) /\ Poll(t)))

Exclusion == \A t, u \in Tasks : t # u /\ st[t] = "holding" /\ st[u] = "holding" =>
  (Mode[t] = "S" \/ Mode[u] = "S") /\ "X" \notin Word.held
(* If a sleeping waiter could enter, another was woken, or a release is about to wake one. *)
NoLostWakeUp == (\E t \in Tasks : st[t] = "queued" /\ Could(t)) => \E t \in Tasks : st[t] \in {"notified", "deferring", "holding", "leaving"}
ListsAreExact == \A t \in Tasks : Mode[t] # "S" =>
  (st[t] \in {"queued", "deferring"} <=> \E l \in DOMAIN list : \E i \in 1..Len(list[l]) : list[l][i] = t)
(* No starvation, and no futurelock: each waiter that is not dormant enters, unless it is dropped. *)
Progress == \A t \in Tasks : Waits(t) ~> (~Waits(t) \/ t \in dormant)
(* The same, if there are always more releases. *)
ProgressByReleases == []<>(wakes # {}) => Progress
=============================================================================
