//! Independent pieces of work on a few threads.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::Result;

/// More threads than this only contend for the file system's locks.
const THREADS_MAX: usize = 8;

/// How many threads are worth starting on this machine.
pub fn threads() -> usize {
    thread::available_parallelism()
        .map_or(1, usize::from)
        .min(THREADS_MAX)
}

/// Calls `work` for every number below `count`, each once; stops at the first error.
pub fn each(count: usize, work: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    let next = AtomicUsize::new(0);
    // Asking how many there are takes longer than many a single piece.
    let threads = if count > 1 { threads() } else { 1 };
    workers(threads.min(count), || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(());
            }
            work(number).inspect_err(|_| next.store(count, Ordering::Relaxed))?;
        }
    })
}

/// Runs `worker` on `count` threads, the calling one among them, and returns the first error.
pub fn workers(count: usize, worker: impl Fn() -> Result<()> + Sync) -> Result<()> {
    let first = Mutex::new(Ok(()));
    let run = || {
        if let Err(error) = worker() {
            let mut first = first.lock().unwrap_or_else(PoisonError::into_inner);
            if first.is_ok() {
                *first = Err(error);
            }
        }
    };
    thread::scope(|scope| {
        for _ in 1..count {
            scope.spawn(run);
        }
        run();
    });
    first.into_inner().unwrap_or_else(PoisonError::into_inner)
}
