//! logind: sessions, idle and what happens when the lid closes.

use quantumos_dimensions::{
    limits,
    pixel::{Login, Session},
    text,
};
use zbus::OwnedObjectPath;

use super::{LOGIN, Peers};
use crate::Error;

const PATH: &str = "/org/freedesktop/login1";
const MANAGER: &str = "org.freedesktop.login1.Manager";

/// id, uid, user, seat, path
type SessionRow = (String, u32, String, String, OwnedObjectPath);

/// Reads logind.
pub(crate) async fn read(peers: &Peers) -> Result<Login, Error> {
    let manager = peers.properties(LOGIN, PATH, MANAGER).await?;
    let mut rows: Vec<SessionRow> = peers
        .call(LOGIN, PATH, MANAGER, "ListSessions", &())
        .await?;
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    rows.truncate(limits::ROWS);
    let mut sessions = Vec::with_capacity(rows.len());
    for (id, _, user, seat, path) in rows {
        // A session that has ended meanwhile is no session.
        let Ok(session) = peers
            .properties(LOGIN, path.as_str(), "org.freedesktop.login1.Session")
            .await
        else {
            continue;
        };
        sessions.push(Session {
            id: text::clip(&id),
            user: text::clip(&user),
            seat: text::clip(&seat),
            kind: text::clip(&session.text("Type")),
            class: text::clip(&session.text("Class")),
            state: text::clip(&session.text("State")),
            idle: session.flag("IdleHint"),
        });
    }
    Ok(Login {
        idle: manager.flag("IdleHint"),
        idle_since: manager.number("IdleSinceHint"),
        idle_action: manager.text("IdleAction"),
        lid_action: manager.text("HandleLidSwitch"),
        lid_closed: manager.flag("LidClosed"),
        external_power: manager.flag("OnExternalPower"),
        sessions,
    })
}
