@0xdf77a259c2466236;
# What each image is told when it begins.

using Package = import "../package.capnp";

struct PowerboxSetup {
  stateUid @0 :UInt32;       # owner of the state: an operator besides uid 0
  reduced @1 :Bool;          # the node was allowed to run with less confinement than a full one
  kernelMissing @2 :List(Text);   # what the kernel itself found missing, for doctor
  memoryLimits @3 :Text;     # by what the memory of processes is limited, and why not by more, for doctor
}
# Its one resource, "state", is its own folder; the control channel is descriptor 4.

struct SandboxSetup {
  name @0 :Text;             # instance, for messages
  arguments @1 :List(Text);  # after the program's name
  limits @2 :Package.Limits;
  output @3 :Output;
  enum Output {
    links @0;                # raw links stdin, stdout, stderr follow
    files @1;                # resources "output.0" and "output.1" are given, used in turn
  }
}
# The sandbox's other resource is "component": the compiled component in a sealed memfd.
#
# A file of output begins with the number of bytes printed before its own first one (8 bytes, little endian), then the
# bytes. An empty file holds nothing. The two take turns, so at least half of limits.outputBytes is kept; a new run
# goes on where the last ended.
#
# Exit codes: the guest's own pass through whole. Beside them, as shells and `timeout` have them: 124 the guest went over
# a limit, 126 it was not begun (the component could not be loaded or does not fit, or this process could not begin),
# 134 it trapped (a panic does), 143 it was ended because it did not hear that it is to stop. The last word says more,
# unless this process could not even begin; a guest that itself exits with such a code leaves no last word.

struct CompileSetup {
  check @0 :Bool;            # no component: write the compatibility hash (16 hexadecimal digits or more) and exit
}
# Resources: "component" (file to read) and "compiled" (memfd to write). Exit codes: 0 written, 3 not a component or
# wrong world (the last word says which), 4 too large or too slow to compile, others: a fault of ours.

struct FolderSetup {
  path @0 :Text;             # for messages only
}
# Its one resource, "folder", is the directory.

# The images keys and storage are told nothing. Their one resource, "state", is their own folder.
