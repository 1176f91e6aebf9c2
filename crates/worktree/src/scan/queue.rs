//! Work that finds more work, shared by a few threads.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Tasks not yet taken, and how many are being worked on.
pub struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

struct State<T> {
    tasks: Vec<T>,
    active: usize,
    stopped: bool,
}

impl<T> Queue<T> {
    pub fn new(first: T) -> Self {
        let state = State {
            tasks: vec![first],
            active: 0,
            stopped: false,
        };
        Self {
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// The next task; None once there is none and none can come.
    pub fn take(&self) -> Option<Claim<'_, T>> {
        let mut state = self.lock();
        loop {
            if state.stopped {
                return None;
            }
            if let Some(task) = state.tasks.pop() {
                state.active += 1;
                return Some(Claim {
                    queue: self,
                    task,
                    found: Vec::new(),
                });
            }
            if state.active == 0 {
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Makes every thread stop after its task.
    pub fn stop(&self) {
        self.lock().stopped = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A task being worked on. Dropping it ends it (in a panic, too, or the others would wait for
/// ever) and hands in the tasks it found.
pub struct Claim<'a, T> {
    queue: &'a Queue<T>,
    pub task: T,
    pub found: Vec<T>,
}

impl<T> Drop for Claim<'_, T> {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        state.active -= 1;
        state.tasks.append(&mut self.found);
        drop(state);
        self.queue.changed.notify_all();
    }
}
