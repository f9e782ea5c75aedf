@0x9203d79be336d20e;
# The store: directories and files that Latchkey keeps itself, encrypted and signed, with snapshots. What the store
# serves are Directory and File of filesystem.capnp, and beside them what only a store can do.

using Common = import "common.capnp";
using Filesystem = import "filesystem.capnp";

interface StoredDirectory extends(Filesystem.Directory) {
  # A directory of the store. Errors as in filesystem.capnp; beside those: damaged (what is stored was changed or lost: the
  # text names where; nothing of it is served), locked (the node's keys are locked), quota (the grant's quota does not
  # allow it), unknown (no such snapshot).

  snapshot @0 (label :Text) -> (snapshot :Snapshot);
  # Keeps how this directory and everything below it is now. Needs write. It is on disk when this returns, with all that
  # was written before. label: 0 to 200 bytes, for people. A directory has at most 1,000 snapshots.

  snapshots @1 (before :UInt64, limit :UInt32) -> (snapshots :List(Snapshot));
  # Those of this very directory, the latest first: those older than the snapshot `before`, 0: all. limit: at most, 0 means 100, which is
  # also the maximum. Needs read.

  openSnapshot @2 (snapshot :UInt64) -> (directory :StoredDirectory);
  # The directory as it was, read-only. Needs read.

  dropSnapshot @3 (snapshot :UInt64) -> ();
  # Forgets it. What only it still kept is room again. Needs write.

  room @4 () -> (room :Room);
  # What there is to write with.

  reserve @5 (bytes :UInt64) -> (reservation :Reservation);
  # Sets room aside, of the quota and of the disk, so that later writes over this link cannot fail for want of it. Fails
  # with quota or noSpace where there is not so much. Needs append.
}

interface Reservation {
  # Room that was set aside. Writes of the grant that asked for it are taken from it first. Dropping it gives back what was not used.

  left @0 () -> (bytes :UInt64);
}

struct Snapshot {
  id @0 :UInt64;               # grows
  label @1 :Text;
  atMs @2 :UInt64;             # milliseconds since 1970
}

struct Room {
  usedBytes @0 :UInt64;        # of the grant's quota, or of the whole store where it has none
  quotaBytes @1 :UInt64;       # 0: none
  freeBytes @2 :UInt64;        # what can still be written by this grant now, at least
}

interface Store {
  # The whole store, for the node's operators.

  status @0 () -> (status :Status);

  check @1 (repair :Bool, reporter :Reporter) -> (summary :Summary);
  # Reads every byte that the store has and checks it: frames, chain, signatures, seals, and the index against them.
  # repair: the index is built anew where it is wrong, and what cannot be repaired is set aside and named. The store serves
  # on meanwhile. Dropping the call stops it.

  compact @2 () -> (freedBytes :UInt64);
  # Gives room that nothing uses any more back to the disk now, which otherwise happens by itself when it is worth it.

  root @3 () -> (directory :StoredDirectory);

  caps @4 () -> (caps :Caps);
  # What of the store may be read and written elsewhere.
}

interface Caps {
  # Who may read and write which part of the store elsewhere, and that part as somebody without a key can hold it. The
  # formats are described in services/storage/caps/FORMAT.md. The store's own key, that of its commits, signs; its hash is
  # the root principal. path: of a file or directory from the store's root on, as in filesystem.capnp; empty: the root. An
  # expiry is in milliseconds since 1970, 0: never. What is changed is on the disk when a call returns.
  #
  # Who can read a directory elsewhere can read everything below it. Moving something changes no key: who could read it where
  # it was can read on, until its readers are removed or its keys exchanged.

  issueReadcap @0 (path :Data, reader :Data, expiresAtMs :UInt64) -> (readcap :Data);
  # A readcap for the holder of an X25519 public key (32 bytes), who is remembered as a reader of that file or directory, at
  # most 256 each: what is exported later has an entry for them, also after the key was exchanged. Doing it again gives a new
  # readcap and the new expiry. Fails with badPath for the root, whose key cannot be exchanged, and where the expiry is past;
  # with tooLarge where there are too many readers.

  readers @1 (path :Data) -> (readers :List(Reader));
  # Those of that very file or directory, in the order in which they came; not those of what it is in.

  removeReader @2 (path :Data, reader :Data) -> (through :List(Data));
  # Forgets a reader and exchanges the keys of the file or directory and of all below it: nothing that is exported from now
  # on can be read with what they have. What they have of before stays readable to them. through: the directories above of
  # which they are a reader still, as paths: by way of those they read on. Fails with unknown where they are no reader of it.

  export @3 (path :Data) -> (export :Export);
  # That file or directory, and everything below it, as it is now. Two exports are never alike: each seals anew, and has
  # greater versions than the one before.

  issueWritecap @4 (path :Data, holder :Data, rights :Common.Rights, expiresAtMs :UInt64) -> (writecap :Data);
  # A chain of one link: the holder of an Ed25519 public key may write there, or make what others may, until it expires. It
  # cannot be taken back before.
}

struct Reader {
  key @0 :Data;                # X25519, 32 bytes
  expiresAtMs @1 :UInt64;      # 0: never; after it exports leave them out
  sinceMs @2 :UInt64;          # of the first readcap
}

interface Export {
  # An export under way. It shows one moment, whatever is written meanwhile; dropping it ends it.

  next @0 () -> (piece :Piece);
  # One call at a time. After an error there is nothing more.
}

struct Piece {
  # For each node first its sealed content, in any number of pieces, then its metadata; directories come before what is in them.
  # What is left out is told before its directory's content.

  union {
    content @0 :Data;          # at most 1 MiB
    metadata @1 :Data;         # of the node whose content has come, signed
    end @2 :Void;              # there are no more nodes
    leftOut @3 :LeftOut;       # something that the directory which comes next does not have, though it is in it
  }
}

struct LeftOut {
  path @0 :Data;               # names with / between them, from what is exported on
  why @1 :Text;                # for people
}

interface Reporter {
  found @0 (finding :Finding) -> stream;
  progress @1 (doneBytes :UInt64, ofBytes :UInt64) -> stream;
}

struct Finding {
  severity @0 :Severity;
  where @1 :Text;              # such as "segment 12 at 4,096"
  what @2 :Text;               # what is wrong, and what it means for which file
  done @3 :Text;               # what was done about it; empty: nothing
  enum Severity { note @0; repaired @1; lost @2; }
}

struct Summary {
  frames @0 :UInt64;
  bytes @1 :UInt64;
  files @2 :UInt64;
  directories @3 :UInt64;
  snapshots @4 :UInt64;
  repaired @5 :UInt64;
  lost @6 :UInt64;
  clean @7 :Bool;              # nothing is wrong, or no longer
}

struct Status {
  unlocked @0 :Bool;
  trouble @1 :Text;            # why it cannot be used, if so
  segments @2 :UInt64;
  bytes @3 :UInt64;            # on the disk
  liveBytes @4 :UInt64;        # of these, what something still uses
  files @5 :UInt64;
  directories @6 :UInt64;
  snapshots @7 :UInt64;
  commits @8 :UInt64;          # since it was made
  publicKey @9 :Data;          # that its commits are signed with
  accounts @10 :List(Account);
}

struct Account { grant @0 :UInt64; usedBytes @1 :UInt64; reservedBytes @2 :UInt64; quotaBytes @3 :UInt64; }
