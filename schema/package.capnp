@0xfb8288831300b9cd;
# What the author of an app signs. The file format around it is described in the crate `package`.

using Common = import "common.capnp";

struct Manifest {
  name @0 :Text;
  # 1 to 64 bytes of [a-z0-9-], beginning with a letter; not latch, shell, kernel, powerbox, node, host or system.

  version @1 :Text;
  # Semantic version, such as 1.2.3.

  author @2 :Data;
  # The author's Ed25519 public key, 32 bytes: the one the package is signed with.

  authorName @3 :Text;
  # The author's own words, at most 100 bytes; never shown as the system's.

  component @4 :Data;
  # BLAKE3 of the component, 32 bytes.

  requests @5 :List(Announced);
  # Everything that the app may ask for. What is not here is refused without a question.

  limits @6 :Limits;

  world @7 :Text;
  # The WIT world that the component targets: "latchkey:door/app@0.1.0".

  description @8 :Text;
  # One line, at most 200 bytes.
}

struct Announced {
  label @0 :Text;          # the label that it will be asked for under
  interface @1 :UInt64;
  rights @2 :Common.Rights;
  reason @3 :Text;
}

struct Limits {
  # What the app wants, within what a node gives at most and at least. 0: the default.

  memoryBytes @0 :UInt64;        # linear memory
  const memoryDefaultBytes :UInt64 = 0x10000000;    # 256 MiB
  const memoryMinimumBytes :UInt64 = 0x100000;      # 1 MiB
  const memoryMaximumBytes :UInt64 = 0x100000000;   # 4 GiB: all that wasm32 can address

  turnMs @1 :UInt32;             # time between two waits at the door
  const turnDefaultMs :UInt32 = 10000;
  const turnMaximumMs :UInt32 = 600000;
  # A guest that computes longer than this without asking its door cannot be told to stop in time for anything.

  outputBytes @2 :UInt64;        # stdout and stderr of a detached run that are kept
  const outputDefaultBytes :UInt64 = 0x100000;      # 1 MiB
  const outputMinimumBytes :UInt64 = 0x4000;        # 16 KiB: less would not hold the message of one panic in each file
  const outputMaximumBytes :UInt64 = 0x1000000;     # 16 MiB: more than anybody reads

  stackBytes @3 :UInt64;
  const stackDefaultBytes :UInt64 = 0x100000;       # 1 MiB
  const stackMinimumBytes :UInt64 = 0x10000;        # 64 KiB: below this `main` of a Rust program does not begin
  const stackMaximumBytes :UInt64 = 0x1000000;      # 16 MiB: wasmtime's own stack for a guest is mapped in one piece
}
