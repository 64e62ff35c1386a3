//! A small file system of a test's own, to see what a daemon does when it is full or can't be written.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use crate::Error;

/// A tmpfs; it goes with the value.
#[derive(Debug)]
pub struct SmallDisk {
    at: PathBuf,
}

impl SmallDisk {
    /// Mounts one of `kibibytes` at a directory, which is made. Where that isn't possible (only root may), the
    /// reason is printed and the test has nothing to do.
    ///
    /// # Errors
    /// When the directory can't be made.
    pub fn mount(at: &Path, kibibytes: u32) -> Result<Option<Self>, Error> {
        std::fs::create_dir_all(at).map_err(|error| Error::start("directory of a disk", error))?;
        let options = format!("size={kibibytes}k,mode=0700");
        let flags = MsFlags::empty();
        match mount(
            Some("tmpfs"),
            at,
            Some("tmpfs"),
            flags,
            Some(options.as_str()),
        ) {
            Ok(()) => Ok(Some(Self { at: at.to_owned() })),
            Err(error) => {
                println!("skipped: cannot mount a small file system: {error}");
                Ok(None)
            }
        }
    }

    fn filler(&self) -> PathBuf {
        self.at.join("filler")
    }

    /// Fills it to the last page.
    ///
    /// # Errors
    /// When the file for that can't be made.
    pub fn fill(&self) -> Result<(), Error> {
        let file = std::fs::File::create(self.filler());
        let mut file = file.map_err(|error| Error::start("filler", error))?;
        while file.write(&[0; 4096]).is_ok() {}
        Ok(())
    }

    /// Makes room again.
    ///
    /// # Errors
    /// When there is nothing that filled it.
    pub fn empty(&self) -> Result<(), Error> {
        std::fs::remove_file(self.filler()).map_err(|error| Error::start("filler", error))
    }

    /// Lets nobody write, or everybody again. Not possible while a file is open for writing.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn set_read_only(&self, read_only: bool) -> Result<(), Error> {
        let mut flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND;
        flags.set(MsFlags::MS_RDONLY, read_only);
        let none = None::<&str>;
        mount(none, &self.at, none, flags, none).map_err(|error| Error::start("remounting", error))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A daemon that still runs keeps what it has open.
        let _ = umount2(&self.at, MntFlags::MNT_DETACH);
    }
}
