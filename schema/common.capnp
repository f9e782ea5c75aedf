@0xc6c8fe1dfa55db42;
# Words that every other schema uses: rights, methods, why something ended.

struct Rights {
  # What a holder may do with an object, as a set. Rights only narrow: a derived reference has the same
  # rights or fewer. An object whose interface knows no such distinction takes all three.

  read @0 :Bool;
  # See: list, open, stat, read.

  append @1 :Bool;
  # Add what was not there: create, make a directory, write past the end. Nothing that exists changes.

  write @2 :Bool;
  # Change what is there: write anywhere, truncate, rename, remove. Implies append.
}

struct Method {
  # One method of one interface.

  interface @0 :UInt64;
  # The interface's 64-bit schema id.

  ordinal @1 :UInt16;
}

struct Lease {
  # The share of a budget that one link has.

  limited @0 :Bool;        # whether there is a budget at all

  amount @1 :UInt64;
  # What the link has been given in all, since it was made. It was recorded as spent before it was told; what is not
  # used of it comes back when the link ends.

  more @2 :Bool;           # some of the budget is left, and can be asked for when this runs low
}

enum EndReason {
  # Why a link ended. Told to both ends in a notice and recorded.

  closed @0;       # an end let go of it
  revoked @1;      # a person took the grant away
  expired @2;      # the grant's time is over
  peerLost @3;     # the process at the other end ended
  exhausted @4;    # a budget of the grant is used up
  misbehaved @5;   # an end broke the protocol or a hard bound
  unavailable @6;  # what serves the object is not running; it is linked again when it is
  restarted @7;    # what serves the object was restarted; a new link follows
  stopped @8;      # the node or the holder was stopped in order
}
