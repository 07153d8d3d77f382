//! Where the lines go: a file that others may move away, or standard error.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Readable by its owner only: the trail says who is where.
const MODE: u32 = 0o600;

#[derive(Debug)]
pub(super) struct Sink {
    /// `None`: standard error.
    path: Option<PathBuf>,
    /// `None` while it is to be opened anew.
    file: Option<File>,
}

impl Sink {
    /// # Errors
    /// The file can be neither opened nor created.
    pub fn open(path: Option<PathBuf>) -> io::Result<Self> {
        let mut sink = Self { path, file: None };
        sink.refresh()?;
        Ok(sink)
    }

    /// Forgets the open file; the next [`Sink::refresh`] opens whatever the path names then.
    pub fn forget(&mut self) {
        self.file = None;
    }

    /// Makes sure that what is appended lands in the file of that name, and not in one that was
    /// deleted or rotated away without a word to us: that would be silence, not a trail.
    pub fn refresh(&mut self) -> io::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let current = self.file.as_ref().is_some_and(|file| is_at(file, path));
        if !current {
            self.file = None;
            self.file = Some(open(path).map_err(|error| named(path, &error))?);
        }
        Ok(())
    }

    /// Appends one line. After an error the file is opened anew, and a line cut short is closed.
    pub fn append(&mut self, line: &str) -> io::Result<()> {
        let Some(path) = &self.path else {
            return io::stderr().lock().write_all(line.as_bytes());
        };
        let Some(file) = &mut self.file else {
            return Err(named(path, &io::ErrorKind::NotFound.into()));
        };
        let done = file.write_all(line.as_bytes());
        done.map_err(|error| {
            self.file = None;
            named(path, &error)
        })
    }

    /// Waits until what was appended is on the disk.
    pub fn sync(&self) -> io::Result<()> {
        let done = self.file.as_ref().map_or(Ok(()), File::sync_data);
        // A pipe or a terminal has no disk behind it, and says so.
        done.or_else(|error| match error.kind() {
            io::ErrorKind::InvalidInput => Ok(()),
            _ => Err(error),
        })
    }
}

fn open(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .read(true)
        .mode(MODE)
        .open(path)?;
    if ends_mid_line(&file)? {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

/// A full disk or a power cut leaves half a line; the next event must not be glued to it.
fn ends_mid_line(file: &File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() == 0 {
        return Ok(false);
    }
    let mut last = [0];
    file.read_exact_at(&mut last, metadata.len() - 1)?;
    Ok(last != *b"\n")
}

fn is_at(file: &File, path: &Path) -> bool {
    let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(open), Ok(named)) => identity(open) == identity(named),
        _ => false,
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn sink(path: &Path) -> Sink {
        Sink::open(Some(path.to_owned())).unwrap()
    }

    #[test]
    fn the_file_is_made_for_its_owner_only_and_appended_to() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        sink(&path).append("a\n").unwrap();
        sink(&path).append("b\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a\nb\n");
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn half_a_line_is_closed_before_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("audit.log");
        fs::write(&path, "{\"ti").unwrap();
        sink(&path).append("b\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "{\"ti\nb\n");
    }

    #[test]
    fn a_path_that_cannot_be_opened_is_named() {
        let dir = tempfile::tempdir().unwrap();
        for path in [dir.path().to_owned(), dir.path().join("no/such")] {
            let error = Sink::open(Some(path.clone())).unwrap_err().to_string();
            assert!(error.starts_with(path.to_str().unwrap()), "{error}");
        }
    }

    #[test]
    fn what_has_no_disk_behind_it_needs_no_sync() {
        assert!(sink(Path::new("/dev/null")).sync().is_ok());
    }

    #[test]
    fn a_device_that_is_full_says_so() {
        let mut full = sink(Path::new("/dev/full"));
        assert!(full.append("a\n").is_err());
    }
}
