//! Takes windows from security-ai over the bus. What comes through the descriptor is untrusted: bounded and checked
//! line by line.

use crate::{Error, lines};
use quantumos_dbus::Windows1Proxy;
use quantumos_learn::Window;
use quantumos_learn::window::MAX_LINE;
use std::fs::File;
use std::io::{BufReader, Read};
use std::os::fd::OwnedFd;
use zbus::Connection;
use zbus::proxy::OwnerChangedStream;

/// The most bytes that are read of one descriptor.
const MOST_BYTES: u64 = 16 << 20;
const ASKED: &str = "windows of security-ai";

/// Takes the windows that wait; also gives how many lines were refused.
///
/// # Errors
/// When security-ai isn't there or refuses.
pub async fn take(connection: &Connection) -> Result<(Vec<Window>, usize), Error> {
    let proxy = proxy(connection).await?;
    let (descriptor, _) = proxy.take().await.map_err(Error::refused(ASKED))?;
    let file = File::from(OwnedFd::from(descriptor));
    let read = tokio::task::spawn_blocking(move || read(file));
    read.await
        .map_err(Error::peer(ASKED))?
        .map_err(Error::peer(ASKED))
}

/// Tells when security-ai comes and goes.
///
/// # Errors
/// When the bus refuses.
pub async fn presence(connection: &Connection) -> Result<OwnerChangedStream<'static>, Error> {
    let proxy = proxy(connection).await?;
    let changes = proxy.inner().receive_owner_changed().await;
    changes.map_err(Error::peer(ASKED))
}

async fn proxy(connection: &Connection) -> Result<Windows1Proxy<'static>, Error> {
    let proxy = Windows1Proxy::new(connection).await;
    proxy.map_err(Error::peer(ASKED))
}

fn read(file: File) -> std::io::Result<(Vec<Window>, usize)> {
    // A memory file, as asked for: nothing that could keep us waiting.
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("the descriptor is no file"));
    }
    let mut windows = Vec::new();
    let mut refused = 0;
    let mut reader = BufReader::new(file.take(MOST_BYTES));
    while let Some(line) = lines::next(&mut reader, MAX_LINE)? {
        let line = line.and_then(|line| String::from_utf8(line).ok());
        match line.and_then(|line| Window::from_line(&line).ok()) {
            Some(window) => windows.push(window),
            None => refused += 1,
        }
    }
    Ok((windows, refused))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};

    #[test]
    fn bad_lines_and_other_descriptors_are_refused() {
        let good = Window {
            subject: "a.service".into(),
            ..Window::default()
        };
        let line = good.to_line().unwrap();
        let mut file = tempfile::tempfile().unwrap();
        write!(file, "{line}\nnot json\n{{}}\n{line}\n").unwrap();
        file.write_all(b"\xff\n").unwrap();
        file.rewind().unwrap();
        assert_eq!(read(file).unwrap(), (vec![good.clone(), good], 3));
        let (pipe, _end) = nix::unistd::pipe().unwrap();
        assert!(read(File::from(pipe)).is_err());
    }
}
