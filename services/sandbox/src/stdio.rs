//! The guest's standard streams over the raw links of a foreground run. A guest that prints faster than somebody reads
//! waits.

use bytes::{Bytes, BytesMut};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::sync::Notify;
use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdinStream, StdoutStream};
use wasmtime_wasi::p2::{InputStream, OutputStream, Pollable, StreamError, StreamResult};

/// Read or written at once.
pub(crate) const CHUNK_BYTES: usize = 64 << 10;

/// Standard input.
#[derive(Clone)]
pub(crate) struct Input(Arc<Reading>);

struct Reading {
    socket: UnixStream,
    /// The guest was told to stop: it waits here no more.
    stopped: AtomicBool,
    stop: Notify,
}

impl Input {
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self(Arc::new(Reading { socket, stopped: AtomicBool::new(false), stop: Notify::new() }))
    }

    /// From now on nothing is waited for: what has come is read, and then reading fails. It does not merely end, for
    /// half of an input must not pass for all of it.
    pub(crate) fn stop(&self) {
        self.0.stopped.store(true, Ordering::Release);
        self.0.stop.notify_waiters();
    }
}

impl IsTerminal for Input {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdinStream for Input {
    /// Only WASI 0.3 asks for it, which guests do not have.
    fn async_stream(&self) -> Box<dyn AsyncRead + Send + Sync> {
        Box::new(tokio::io::empty())
    }

    fn p2_stream(&self) -> Box<dyn InputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Input {
    async fn ready(&mut self) {
        let stop = self.0.stop.notified();
        if self.0.stopped.load(Ordering::Acquire) {
            return;
        }
        tokio::select! {
            // An error shows at the next read.
            _ = self.0.socket.readable() => {}
            () = stop => {}
        }
    }
}

impl InputStream for Input {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let mut bytes = BytesMut::zeroed(size.min(CHUNK_BYTES));
        match self.0.socket.try_read(&mut bytes) {
            Ok(0) if size > 0 => Err(StreamError::Closed),
            Ok(read) => {
                bytes.truncate(read);
                Ok(bytes.freeze())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if self.0.stopped.load(Ordering::Acquire) {
                    return Err(StreamError::LastOperationFailed(wasmtime::format_err!("the app was told to stop")));
                }
                Ok(Bytes::new())
            }
            Err(_) => Err(StreamError::Closed),
        }
    }
}

/// Standard output or error.
#[derive(Clone)]
pub(crate) struct Output {
    socket: Arc<UnixStream>,
    /// What the socket did not take yet: at most one chunk, whoever of the stream's holders wrote it. `None`: nobody
    /// reads any more.
    waiting: Arc<Mutex<Option<Vec<u8>>>>,
}

impl Output {
    pub(crate) fn new(socket: UnixStream) -> Self {
        Self { socket: Arc::new(socket), waiting: Arc::new(Mutex::new(Some(Vec::new()))) }
    }

    /// Returns when everything is written or nobody reads any more.
    pub(crate) async fn drain(&self) {
        while self.flush_now().is_ok_and(|flushed| !flushed) {
            if self.socket.writable().await.is_err() {
                return;
            }
        }
    }

    /// Whether nothing waits any more.
    fn flush_now(&self) -> StreamResult<bool> {
        let mut guard = self.lock();
        let waiting = guard.as_mut().ok_or(StreamError::Closed)?;
        while !waiting.is_empty() {
            match self.socket.try_write(waiting) {
                Ok(written) => drop(waiting.drain(..written)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(_) => {
                    *guard = None;
                    return Err(StreamError::Closed);
                }
            }
        }
        Ok(true)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<u8>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    /// Only WASI 0.3 asks for it, which guests do not have.
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

#[async_trait]
impl Pollable for Output {
    async fn ready(&mut self) {
        self.drain().await;
    }
}

impl OutputStream for Output {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        {
            let mut guard = self.lock();
            let waiting = guard.as_mut().ok_or(StreamError::Closed)?;
            if bytes.len() > CHUNK_BYTES - waiting.len() {
                return Err(StreamError::trap("wrote more to a standard stream than it was allowed to at once"));
            }
            waiting.extend_from_slice(&bytes);
        }
        self.flush_now().map(|_| ())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(if self.flush_now()? { CHUNK_BYTES } else { 0 })
    }
}
