//! Mounting one read-only tree under many workspaces with overlayfs, and the namespaces in which
//! a user without privileges may do so.

use std::ffi::CString;
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::process::{getegid, geteuid};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};

use crate::{Error, Result};

/// The longest list of options that the mount system call takes: one page, with its final NUL.
const OPTIONS_BYTES_MAX: usize = 4095;

/// The directories of a mount: `upper` and `work` have to be on one file system.
pub struct Layers<'a> {
    pub lower: &'a Path,
    pub upper: &'a Path,
    pub work: &'a Path,
    /// Keep the upper directory's marks in `user.` attributes, which need no privileges. With
    /// `trusted.` ones a directory of the lower tree can also be renamed. One upper directory has
    /// to be mounted in the same way each time.
    pub user_attributes: bool,
    /// Do not write everything out when it is unmounted, which for a trial is a waste.
    pub volatile: bool,
}

/// Mounts layers at `target` in the calling process's mount namespace.
///
/// Errors: `Permission` where the process may not mount, `Unsupported` where the kernel has no
/// overlayfs or a file system of the layers does not do.
pub fn mount_overlay(layers: &Layers<'_>, target: &Path) -> Result<()> {
    let doing = || format!("mount an overlay at {}", target.display());
    let options = options(layers)?;
    let (flags, kind) = (MountFlags::empty(), c"overlay");
    match rustix::mount::mount(kind, target, kind, flags, options.as_c_str()) {
        Ok(()) => Ok(()),
        // No such file system; or the layers are on one that cannot hold an upper directory.
        Err(error @ (Errno::NODEV | Errno::INVAL | Errno::OPNOTSUPP)) => Err(Error::Unsupported(
            format!("could not {}: {error}", doing()),
        )),
        Err(error) => Err(Error::io(doing(), error)),
    }
}

/// Unmounts what is mounted at `target`; `Busy` while a process uses it, `NotFound` where nothing
/// is mounted there.
pub fn unmount(target: &Path) -> Result<()> {
    let doing = || format!("unmount {}", target.display());
    match rustix::mount::unmount(target, UnmountFlags::NOFOLLOW) {
        Ok(()) => Ok(()),
        Err(error @ Errno::BUSY) => Err(Error::Busy(format!("could not {}: {error}", doing()))),
        Err(Errno::INVAL) => Err(Error::NotFound(format!(
            "nothing is mounted at {}",
            target.display()
        ))),
        Err(error) => Err(Error::io(doing(), error)),
    }
}

/// Gives the calling process, which must have one thread, a user and a mount namespace of its own:
/// there it may mount, and nobody else sees it. Its user and group stay the same, with the
/// capabilities of the namespace.
///
/// Errors: `Permission` where the system forbids it; `Unsupported` for a process with threads.
pub fn enter_namespaces() -> Result<()> {
    let (user, group) = (geteuid().as_raw(), getegid().as_raw());
    let flags = UnshareFlags::NEWUSER | UnshareFlags::NEWNS;
    #[expect(
        deprecated,
        reason = "unsafe is only what takes away shared descriptor tables"
    )]
    rustix::thread::unshare(flags).map_err(|error| namespace_error("open a namespace", error))?;
    let write = |name: &str, text: String| {
        fs::write(format!("/proc/self/{name}"), text)
            .map_err(|error| Error::io(format!("set the namespace's {name}"), error))
    };
    write("setgroups", "deny".into())?;
    write("uid_map", format!("{user} {user} 1"))?;
    write("gid_map", format!("{group} {group} 1"))?;
    // What is mounted here later must not be seen outside, whatever the system's default is.
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private)
        .map_err(|error| Error::io("make the namespace's mounts private", error))
}

/// Moves the calling process, which must have one thread, into the user and mount namespaces of a
/// running process of the same user.
pub fn join_namespaces(pid: u32) -> Result<()> {
    let open = |name: &str| {
        let path = format!("/proc/{pid}/ns/{name}");
        rustix::fs::open(&path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())
            .map_err(|error| Error::io(format!("open {path}"), error))
    };
    // Both before either: inside the first one the second may not be opened any more.
    let (user, mount) = (open("user")?, open("mnt")?);
    let kinds = [LinkNameSpaceType::User, LinkNameSpaceType::Mount];
    for (space, kind) in [user, mount].iter().zip(kinds) {
        move_into_link_name_space(space.as_fd(), Some(kind)).map_err(|error| {
            namespace_error(&format!("enter the namespace of process {pid}"), error)
        })?;
    }
    Ok(())
}

fn namespace_error(doing: &str, error: Errno) -> Error {
    match error {
        // INVAL is said of a process with several threads, NOSPC where none are left or allowed.
        Errno::INVAL => Error::Unsupported(format!("could not {doing}: {error}")),
        Errno::NOSPC | Errno::USERS => Error::Permission(format!("could not {doing}: {error}")),
        error => Error::io(doing, error),
    }
}

fn options(layers: &Layers<'_>) -> Result<CString> {
    let mut options = Vec::new();
    let names: [(&[u8], &Path); 3] = [
        (b"lowerdir=", layers.lower),
        (b"upperdir=", layers.upper),
        (b"workdir=", layers.work),
    ];
    for (name, path) in names {
        options.extend_from_slice(name);
        for byte in path.as_os_str().as_bytes() {
            if matches!(byte, b'\\' | b',' | b':') {
                options.push(b'\\');
            }
            options.push(*byte);
        }
        options.push(b',');
    }
    // Nothing of these is needed by one mount at a time over a tree that never changes, and the
    // scan of the upper directory has to know less.
    options.extend_from_slice(b"index=off,metacopy=off,xino=off,");
    options.extend_from_slice(match layers.user_attributes {
        true => b"userxattr",
        false => b"redirect_dir=on",
    });
    if layers.volatile {
        options.extend_from_slice(b",volatile");
    }
    if options.len() > OPTIONS_BYTES_MAX {
        return Err(Error::Unsupported(format!(
            "the paths of an overlay over {} are too long together",
            layers.lower.display()
        )));
    }
    CString::new(options).map_err(|_| Error::BadInput("a path holds a NUL byte".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_in_paths_are_escaped() {
        let layers = Layers {
            lower: Path::new("/a:b,c"),
            upper: Path::new("/u"),
            work: Path::new("/w"),
            user_attributes: true,
            volatile: false,
        };
        let expected = br"lowerdir=/a\:b\,c,upperdir=/u,workdir=/w,index=off,";
        assert!(options(&layers).unwrap().as_bytes().starts_with(expected));
    }
}
