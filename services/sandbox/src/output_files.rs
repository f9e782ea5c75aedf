//! What a detached guest prints, kept in two files of bounded size that take turns: the newest is always kept, and at
//! least half of what the limit allows.
//!
//! A file begins with the number of bytes printed before its first one (8 bytes, little endian), by which a reader puts
//! the two in order and knows how much is gone. An empty file holds nothing. A new run goes on where the last ended.

use bytes::Bytes;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::AsyncWrite;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};

use crate::stdio::CHUNK_BYTES;

/// Bytes before the printed ones.
const HEADER_BYTES: u64 = 8;

/// Both files.
#[derive(Debug)]
struct Files {
    files: [File; 2],
    current: usize,
    /// Printed bytes in the current file.
    length_bytes: u64,
    /// Printed before the current file's first byte.
    before_bytes: u64,
    limit_bytes: u64,
}

impl Files {
    /// Finds where an earlier run ended. `limit_bytes` is for both together.
    fn open(files: [File; 2], limit_bytes: u64) -> io::Result<Self> {
        let mut found: Option<(u64, usize, u64)> = None;
        for (number, file) in files.iter().enumerate() {
            let size = file.metadata()?.len();
            if size < HEADER_BYTES {
                continue;
            }
            let mut header = [0; 8];
            file.read_exact_at(&mut header, 0)?;
            let before = u64::from_le_bytes(header);
            if found.is_none_or(|(newest, ..)| before >= newest) {
                found = Some((before, number, size - HEADER_BYTES));
            }
        }
        let (before_bytes, current, length_bytes) = found.unwrap_or_default();
        let files = Self { files, current, length_bytes, before_bytes, limit_bytes: limit_bytes / 2 };
        if found.is_none() {
            files.begin()?;
        }
        Ok(files)
    }

    /// Empties the current file for what comes now.
    fn begin(&self) -> io::Result<()> {
        let file = &self.files[self.current];
        file.set_len(0)?;
        file.write_all_at(&self.before_bytes.to_le_bytes(), 0)
    }

    fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.length_bytes >= self.limit_bytes {
                self.before_bytes += self.length_bytes;
                self.length_bytes = 0;
                self.current = 1 - self.current;
                self.begin()?;
            }
            let room = usize::try_from(self.limit_bytes - self.length_bytes).unwrap_or(usize::MAX);
            let (now, rest) = bytes.split_at(bytes.len().min(room));
            self.files[self.current].write_all_at(now, HEADER_BYTES + self.length_bytes)?;
            self.length_bytes += now.len() as u64;
            bytes = rest;
        }
        Ok(())
    }
}

/// Standard output and error of a detached guest, in one stream in the order in which it printed.
#[derive(Debug, Clone)]
pub(crate) struct KeptOutput(Arc<Mutex<Files>>);

impl KeptOutput {
    /// # Errors
    /// Where the files cannot be read or written.
    pub(crate) fn open(files: [File; 2], limit_bytes: u64) -> io::Result<Self> {
        Ok(Self(Arc::new(Mutex::new(Files::open(files, limit_bytes)?))))
    }
}

impl IsTerminal for KeptOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for KeptOutput {
    /// Only WASI 0.3 asks for it, which guests do not have.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for KeptOutput {
    async fn ready(&mut self) {}
}

impl OutputStream for KeptOutput {
    /// A full disk loses output and does not end the guest. A write may be larger than was allowed: it waits nowhere.
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.write(&bytes).map_err(|error| StreamError::LastOperationFailed(error.into()))
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(CHUNK_BYTES)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT_BYTES: u64 = 20;

    fn files() -> [File; 2] {
        [tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap()]
    }

    fn clones(files: &[File; 2]) -> [File; 2] {
        [files[0].try_clone().unwrap(), files[1].try_clone().unwrap()]
    }

    /// As a reader does it: what is kept, and how much is gone.
    fn kept(files: &[File; 2]) -> (String, u64) {
        let mut parts: Vec<(u64, Vec<u8>)> = Vec::new();
        for file in files {
            let size = file.metadata().unwrap().len();
            let mut bytes = vec![0; size as usize];
            file.read_exact_at(&mut bytes, 0).unwrap();
            if let Some((header, rest)) = bytes.split_first_chunk() {
                parts.push((u64::from_le_bytes(*header), rest.to_vec()));
            }
        }
        parts.sort();
        let gone = parts.first().map_or(0, |(before, _)| *before);
        (parts.into_iter().map(|(_, bytes)| String::from_utf8(bytes).unwrap()).collect(), gone)
    }

    #[test]
    fn the_newest_output_is_kept_in_order_and_the_loss_is_counted() {
        let files = files();
        let mut writing = Files::open(clones(&files), LIMIT_BYTES).unwrap();
        writing.write(b"0123456789").unwrap();
        assert_eq!(kept(&files), ("0123456789".into(), 0));
        writing.write(b"abc").unwrap();
        writing.write(b"defghijkl").unwrap();
        assert_eq!(kept(&files), ("abcdefghijkl".into(), 10));
    }

    #[test]
    fn a_write_larger_than_both_files_keeps_its_end() {
        let files = files();
        let mut writing = Files::open(clones(&files), LIMIT_BYTES).unwrap();
        writing.write(b"0123456789abcdefghijklmnopqrstuvwxyz").unwrap();
        assert_eq!(kept(&files), ("klmnopqrstuvwxyz".into(), 20));
    }

    #[test]
    fn a_new_run_goes_on_where_the_last_ended() {
        let files = files();
        Files::open(clones(&files), LIMIT_BYTES).unwrap().write(b"0123456789abc").unwrap();
        Files::open(clones(&files), LIMIT_BYTES).unwrap().write(b"def").unwrap();
        assert_eq!(kept(&files), ("0123456789abcdef".into(), 0));
    }
}
