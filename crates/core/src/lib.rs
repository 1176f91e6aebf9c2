//! Tatami's thin layer over jj-lib: objects, packs, publishing, trees.
//!
//! Start with `jj::Core`: `prepare` builds commits in memory, `publish` makes them durable and
//! visible in one operation. Everything below it is plain git and knows nothing of jj.

#![deny(unsafe_code)]

pub mod admit;
pub mod commit;
pub mod diff;
pub mod error;
pub mod jj;
mod keep;
pub mod objects;
pub mod pack;
mod pack_index;
pub mod prepare;
pub mod spec;
pub mod text;
pub mod tree;
