@0xfb8288831300b9cd;
# What the author of an app signs. The file format around it is described in the crate `package`.

using Common = import "common.capnp";

struct Manifest {
  name @0 :Text;
  # 1 to 64 bytes of [a-z0-9-], not starting with '-'.

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
  # What the app wants; the node's own maximum holds besides. 0: the default.

  memoryBytes @0 :UInt64;        # linear memory. Default 256 MiB
  turnMs @1 :UInt32;             # time between two waits at the door. Default 10 s
  outputBytes @2 :UInt64;        # stdout and stderr of a detached run that are kept. Default 1 MiB
  stackBytes @3 :UInt64;         # default 1 MiB
}
