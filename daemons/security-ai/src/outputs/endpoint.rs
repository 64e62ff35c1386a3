//! The place that OpenTelemetry logs are sent to: parsed from the configuration, connected to with a plain socket.

use std::io;
use std::path::PathBuf;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// The path that OTLP gives logs.
const LOGS: &str = "/v1/logs";

/// A collector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    place: Place,
    /// The `Host` header.
    pub host: String,
    /// The request's path.
    pub path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Tcp(String),
    Unix(PathBuf),
}

/// What both kinds of socket are.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

impl Endpoint {
    /// From `http://HOST[:PORT][/PATH]` (port 4318 and path `/v1/logs` where left out) or `unix:/path`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        if let Some(path) = text.strip_prefix("unix:") {
            if !path.starts_with('/') {
                return Err("the path of a socket is absolute");
            }
            return Ok(Self {
                place: Place::Unix(path.into()),
                host: "localhost".into(),
                path: LOGS.into(),
            });
        }
        if text.starts_with("https:") {
            return Err("https is not spoken here: name a collector on this host, which can");
        }
        let rest = text
            .strip_prefix("http://")
            .ok_or("neither http://HOST:PORT/v1/logs nor unix:/path")?;
        let (host, path) = match rest.find('/') {
            Some(at) => rest.split_at(at),
            None => (rest, LOGS),
        };
        let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if host.is_empty() || host.contains('@') || !plain(host) || !plain(path) {
            return Err("http://HOST:PORT/v1/logs is printable and has no user");
        }
        let port = host.rsplit_once(':').map(|(_, port)| port);
        let port = port.filter(|port| !port.ends_with(']'));
        let address = match port {
            None => format!("{host}:4318"),
            Some(port) if port.parse::<u16>().is_ok_and(|port| port > 0) => host.to_owned(),
            Some(_) => return Err("the port is not a number from 1 to 65535"),
        };
        Ok(Self {
            place: Place::Tcp(address),
            host: host.into(),
            path: path.into(),
        })
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// What the system says; where the unit forbids the kind of socket, that too.
    pub async fn connect(&self) -> io::Result<Box<dyn Stream>> {
        Ok(match &self.place {
            Place::Unix(path) => Box::new(UnixStream::connect(path).await?),
            Place::Tcp(address) => {
                let stream = TcpStream::connect(address).await.map_err(forbidden)?;
                Box::new(stream)
            }
        })
    }
}

/// The unit lets the daemon reach no network unless a drop-in says so; that is worth a word.
fn forbidden(error: io::Error) -> io::Error {
    let by_unit = [nix::libc::EPERM, nix::libc::EAFNOSUPPORT];
    match error.raw_os_error() {
        Some(number) if by_unit.contains(&number) => io::Error::new(
            error.kind(),
            format!("{error}: the unit allows no network, see OUTPUTS in security-ai(8)"),
        ),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints() {
        for (text, wanted) in [
            (
                "http://127.0.0.1:4318/v1/logs",
                Ok("127.0.0.1:4318 /v1/logs"),
            ),
            ("http://collector", Ok("collector:4318 /v1/logs")),
            ("http://[::1]:99/x", Ok("[::1]:99 /x")),
            ("http://[::1]", Ok("[::1]:4318 /v1/logs")),
            ("unix:/run/otel.sock", Ok("/run/otel.sock /v1/logs")),
            ("unix:otel.sock", Err("absolute")),
            ("https://h/", Err("https")),
            ("http://", Err("printable")),
            ("http://u:p@h/", Err("user")),
            ("http://h:0/", Err("port")),
            ("http://h:x/", Err("port")),
            ("http://h/a\r\nX: y", Err("printable")),
            ("h:4318", Err("neither")),
            ("", Err("neither")),
        ] {
            match (Endpoint::parse(text), wanted) {
                (Ok(endpoint), Ok(wanted)) => {
                    let place = match endpoint.place {
                        Place::Tcp(address) => address,
                        Place::Unix(path) => path.display().to_string(),
                    };
                    assert_eq!(format!("{place} {}", endpoint.path), wanted);
                }
                (Err(reason), Err(wanted)) => assert!(reason.contains(wanted), "{text}: {reason}"),
                (got, _) => panic!("{text}: {got:?}"),
            }
        }
    }
}
