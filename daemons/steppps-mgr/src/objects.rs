//! The bus objects: the root, which gives all dimensions at once, and one for each dimension.
//! They only read what the manager has published.

use std::collections::HashMap;

use quantumos_dbus::{Dictionary, Error, path};
use quantumos_dimensions::Dimension;
use zbus::{Connection, Variant, object_server::SignalEmitter};

use crate::{
    board::{Board, object_path},
    variant,
};

/// Puts the eight objects on the bus.
pub(crate) async fn register(connection: &Connection, board: &Board) -> zbus::Result<()> {
    let server = connection.object_server();
    for dimension in Dimension::ALL {
        server
            .at(
                object_path(dimension),
                Dimension1 {
                    dimension,
                    board: board.clone(),
                },
            )
            .await?;
    }
    server
        .at(
            path::STEPPPS,
            Steppps1 {
                board: board.clone(),
            },
        )
        .await?;
    Ok(())
}

pub(crate) struct Steppps1 {
    board: Board,
}

#[zbus::interface(name = "org.quantumos.Steppps1", introspection_docs = false)]
impl Steppps1 {
    #[zbus(out_args("dimensions"))]
    fn snapshot(&self) -> Result<HashMap<String, Dictionary>, Error> {
        Dimension::ALL
            .into_iter()
            .map(|dimension| {
                let state = self
                    .board
                    .read(dimension, |published| variant::snapshot(&published.report));
                Ok((
                    dimension.as_str().to_owned(),
                    variant::dictionary(state).map_err(internal)?,
                ))
            })
            .collect()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn dimensions(&self) -> Vec<String> {
        Dimension::ALL
            .iter()
            .map(|dimension| dimension.as_str().to_owned())
            .collect()
    }

    #[zbus(signal)]
    pub(crate) async fn changed(
        emitter: &SignalEmitter<'_>,
        dimension: &str,
        changed: HashMap<String, Variant<'_>>,
    ) -> zbus::Result<()>;
}

struct Dimension1 {
    dimension: Dimension,
    board: Board,
}

#[zbus::interface(name = "org.quantumos.Dimension1", introspection_docs = false)]
impl Dimension1 {
    #[zbus(out_args("states"))]
    fn history(&self, limit: u32) -> Result<Vec<(u64, Dictionary)>, Error> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let entries: Vec<_> = self.board.read(self.dimension, |published| {
            published.history.newest(limit).cloned().collect()
        });
        entries
            .into_iter()
            .map(|(time, change)| Ok((time, variant::dictionary(change).map_err(internal)?)))
            .collect()
    }

    #[zbus(property(emits_changed_signal = "const"))]
    fn name(&self) -> &'static str {
        self.dimension.as_str()
    }

    #[zbus(property)]
    fn available(&self) -> bool {
        self.board
            .read(self.dimension, |published| published.report.available)
    }

    #[zbus(property)]
    fn health(&self) -> &'static str {
        self.board
            .read(self.dimension, |published| published.report.health.as_str())
    }

    #[zbus(property)]
    fn source(&self) -> Vec<String> {
        self.board
            .read(self.dimension, |published| published.report.sources.clone())
    }

    #[zbus(property)]
    fn reason(&self) -> String {
        self.board
            .read(self.dimension, |published| published.report.reason.clone())
    }

    #[zbus(property)]
    fn state(&self) -> HashMap<String, Variant<'static>> {
        variant::variants(
            self.board
                .read(self.dimension, |published| published.report.state.clone()),
        )
    }

    #[zbus(property)]
    fn updated_at(&self) -> u64 {
        self.board
            .read(self.dimension, |published| published.updated_at)
    }
}

fn internal(error: zbus::Error) -> Error {
    Error::Internal(error.to_string())
}
