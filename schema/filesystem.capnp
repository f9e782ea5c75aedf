@0xdd5af00625aea914;
# Directories and files.
#
# Paths are relative to the directory they are given to: one or more names joined by '/', as bytes (a file
# system's names need not be UTF-8), at most 4,095 bytes in all. A name has 1 to 255 bytes and is neither "."
# nor ".."; NUL and empty names are refused. Symbolic links inside are followed while they stay inside; one
# that leads out is an error, whatever it points to. Nothing outside the directory is ever reached.
#
# Errors that a caller can act on are exceptions of kind failed whose text begins with one of these words and
# a colon: notFound, exists, notDirectory, isDirectory, notEmpty, badPath, leadsOut, readOnly, appendOnly,
# notPermitted, noSpace, tooLarge, special (not a regular file or directory), io.
# A grant that was cut shows as an exception of kind disconnected; too many files and directories open at once as one
# of kind overloaded: drop some references. Calls on one object take effect in the order in which they were made.

using Common = import "common.capnp";
using Stream = import "stream.capnp";

enum Kind {
  other @0;        # device, FIFO, socket: it is listed, and can be removed, but not opened
  file @1;
  directory @2;
  symlink @3;
}

struct Metadata {
  kind @0 :Kind;
  size @1 :UInt64;         # bytes; 0 for what is not a regular file
  modifiedNs @2 :Int64;    # nanoseconds since 1970-01-01T00:00:00Z
  executable @3 :Bool;
  identity @4 :UInt64;     # the same for two names of one file, while both exist
}

struct Entry {
  name @0 :Data;
  metadata @1 :Metadata;   # of the entry itself: a symbolic link is not followed
}

interface Directory {
  # One directory and everything below it. The rights of a reference hold for everything obtained through it.

  list @0 (cursor :UInt64, limit :UInt32) -> (entries :List(Entry), cursor :UInt64, end :Bool);
  # A page of the entries, in the file system's own order, without "." and "..". The first call passes cursor 0,
  # later ones what the last returned. limit: entries at most, 0 means 1,000 which is also the maximum.
  # An entry that is made or removed meanwhile may or may not show; none shows twice otherwise. A page may have fewer
  # entries than asked for, and is empty only where end is set. A cursor from elsewhere is badPath, or shows some page.

  stat @1 (path :Data, followLink :Bool) -> (metadata :Metadata);
  # An empty path means this directory.

  openDirectory @2 (path :Data, rights :Common.Rights) -> (directory :Directory, rights :Common.Rights);
  # The directory at path, with the intersection of the rights asked for and those of this reference.
  # An empty path gives this directory again: that is how a reference is narrowed.

  openFile @3 (path :Data, rights :Common.Rights) -> (file :File, rights :Common.Rights);
  # An existing regular file. Needs read, or write, or append, as asked for.

  create @4 (path :Data, exclusive :Bool) -> (file :File, created :Bool);
  # Makes an empty file, or opens the existing one where not exclusive. Needs append. The file has the rights of this
  # reference: without write it is append-only, also when it is new.

  makeDirectory @5 (path :Data) -> (directory :Directory);
  # Needs append. The parent must exist.

  rename @6 (from :Data, to :Data, replace :Bool) -> ();
  # Atomically, within this directory's tree. Needs write. Without replace an existing target is an error.

  remove @7 (path :Data) -> ();
  # A file, a symbolic link (not its target) or an empty directory. Needs write.

  sync @8 () -> ();
  # Returns when the directory's own entries are on disk.
}

interface File {
  # One open regular file. It stays the same file when it is renamed or removed. Dropping it closes it; what was
  # written is then with the operating system, and on disk after `sync`.

  stat @0 () -> (metadata :Metadata);

  read @1 (offset :UInt64, length :UInt32) -> (bytes :Data, end :Bool);
  # Up to length bytes, at most 1 MiB (a larger length is cut to it). end: the file ended within or at these bytes.

  write @2 (offset :UInt64, bytes :Data) -> ();
  # All bytes, at most 1 MiB, at offset; a gap reads as zeros. Needs write.

  append @3 (bytes :Data) -> (offset :UInt64);
  # All bytes, at most 1 MiB, in one piece at the end. Returns where they went. Needs append.

  truncate @4 (size :UInt64) -> ();
  # Cuts or extends with zeros. Needs write.

  sync @5 () -> ();
  # Returns when content and size are on disk.

  readTo @6 (offset :UInt64, length :UInt64, sink :Stream.ByteStream) -> (sent :UInt64);
  # Streams from offset into sink, length bytes or to the end of the file (length 0: to the end), then ends sink.
  # Returns when sink's `end` has. Dropping the call stops it.

  writeFrom @7 (offset :UInt64) -> (sink :Stream.ByteStream);
  # A stream whose bytes go to the file in order from offset. Needs write. Without write but with append the
  # offset is ignored and the bytes go to the end.
}
