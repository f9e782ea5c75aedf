//! A file's content, piece by piece.

use crate::error::{Error, ErrorKind, Result};
use crate::file::File;
use crate::folder::Folder;
use crate::origin::Origin;
use capnp::capability::Promise;
use schema::filesystem_capnp::file;
use std::collections::VecDeque;
use std::fmt;
use vat::Rights;

/// The first piece: most files that people read are smaller, and many streams can be open at once.
const FIRST_PIECE_BYTES: u32 = 64 << 10;

/// Every other piece: large enough that its call costs little next to its bytes.
const PIECE_BYTES: u32 = 256 << 10;

/// Pieces on their way while one is used: one that is being read and one that is being sent.
const AHEAD: usize = 2;

type Answer = Promise<capnp::capability::Response<file::read_results::Owned>, capnp::Error>;

/// A file's content, piece by piece: see [`Folder::stream`] and [`File::stream`].
pub struct FileStream {
    source: Source,
    path: Vec<u8>,
    /// Where the next request reads.
    offset: u64,
    asked: VecDeque<Answer>,
    end: bool,
}

enum Source {
    Path(Folder, Vec<u8>),
    Open(Origin, file::Client),
}

impl FileStream {
    pub(crate) fn of_path(folder: Folder, path: Vec<u8>) -> FileStream {
        let shown = folder.shown(&path);
        FileStream { source: Source::Path(folder, path), path: shown, offset: 0, asked: VecDeque::new(), end: false }
    }

    pub(crate) fn of_file(file: File, offset: u64) -> FileStream {
        let source = Source::Open(file.origin, file.client);
        FileStream { source, path: file.path, offset, asked: VecDeque::new(), end: false }
    }

    /// The next piece, never empty; nothing at the end. Dropping the stream stops it.
    ///
    /// # Errors
    /// Those of [`Folder::open`] at first, later [`ErrorKind::Io`], or the grant is gone. It ends there.
    pub async fn next(&mut self) -> Result<Option<Vec<u8>>> {
        if self.end {
            return Ok(None);
        }
        let result = self.piece().await;
        if !matches!(result, Ok(Some(_))) {
            self.end = true;
        }
        if self.end {
            self.asked.clear();
        }
        result
    }

    async fn piece(&mut self) -> Result<Option<Vec<u8>>> {
        let (origin, client) = self.reach().await?;
        // nothing is asked for ahead of the first answer: it tells whether there is more
        let answer = match self.asked.pop_front() {
            Some(answer) => answer,
            None => self.ask(&client, FIRST_PIECE_BYTES),
        };
        let response = origin.settle(answer, &self.path).await?;
        let malformed = origin.malformed(&self.path);
        let results = response.get().map_err(&malformed)?;
        let bytes = results.get_bytes().map_err(&malformed)?.to_vec();
        self.end = results.get_end() || bytes.is_empty();
        while !self.end && self.asked.len() < AHEAD {
            let answer = self.ask(&client, PIECE_BYTES);
            self.asked.push_back(answer);
        }
        Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
    }

    /// The file. Its opening need not be answered before it is read from.
    async fn reach(&mut self) -> Result<(Origin, file::Client)> {
        if let Source::Open(origin, client) = &self.source {
            return Ok((origin.clone(), client.clone()));
        }
        let Source::Path(folder, path) = &self.source else { unreachable!("looked at above") };
        let (origin, directory) = folder.reach().await?;
        let mut request = directory.open_file_request();
        request.get().set_path(path);
        Rights::READ.write_to(request.get().init_rights());
        let client = request.send().pipeline.get_file();
        self.source = Source::Open(origin.clone(), client.clone());
        Ok((origin, client))
    }

    fn ask(&mut self, client: &file::Client, length: u32) -> Answer {
        let mut request = client.read_request();
        request.get().set_offset(self.offset);
        request.get().set_length(length);
        self.offset = self.offset.saturating_add(u64::from(length));
        request.send().promise
    }

    /// Everything that is left, at most so much.
    ///
    /// # Errors
    /// [`ErrorKind::TooLarge`] where there is more, and those of [`next`](FileStream::next).
    pub async fn collect(mut self, limit_bytes: usize) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        while let Some(piece) = self.next().await? {
            if all.len() + piece.len() > limit_bytes {
                let detail = format!("more than {limit_bytes} bytes");
                return Err(Error::new(ErrorKind::TooLarge, String::from_utf8_lossy(&self.path), detail));
            }
            all.extend_from_slice(&piece);
        }
        Ok(all)
    }
}

impl fmt::Debug for FileStream {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = String::from_utf8_lossy(&self.path);
        formatter.debug_struct("FileStream").field("path", &path).field("offset", &self.offset).finish_non_exhaustive()
    }
}
