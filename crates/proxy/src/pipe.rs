//! An end of a pipe, read and written without a buffer of its own.
//!
//! Whoever made the other end may have made both non-blocking; then a read or write waits by polling.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;

/// One end.
#[derive(Debug)]
pub(crate) struct Pipe<F>(pub(crate) F);

impl<F: AsFd> Pipe<F> {
    fn retried<T>(
        &self,
        ready: PollFlags,
        mut attempt: impl FnMut(&F) -> rustix::io::Result<T>,
    ) -> io::Result<T> {
        loop {
            match attempt(&self.0) {
                Ok(done) => return Ok(done),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    let mut waited_for = [PollFd::new(&self.0, ready)];
                    match poll(&mut waited_for, None) {
                        Ok(_) | Err(Errno::INTR) => {}
                        Err(why) => return Err(why.into()),
                    }
                }
                Err(why) => return Err(why.into()),
            }
        }
    }
}

impl<F: AsFd> Read for Pipe<F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.retried(PollFlags::IN, |fd| rustix::io::read(fd, &mut *buffer))
    }
}

impl<F: AsFd> Write for Pipe<F> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.retried(PollFlags::OUT, |fd| rustix::io::write(fd, bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
