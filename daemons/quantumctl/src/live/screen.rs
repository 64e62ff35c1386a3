//! The terminal during the live view: raw mode and the alternate screen on the way in, and
//! everything as it was on the way out, be it by q, by a signal or by a defect.

use std::{thread, time::Duration};

use ratatui::{
    DefaultTerminal,
    crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::MissedTickBehavior,
};

use super::{
    model::{Model, Update},
    view::{self, Look},
};
use crate::{error::Error, text::time::now};

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Quit,
    Scroll(isize),
    Redraw,
}

/// Shows `model`, kept up to date by `updates`, until somebody has seen enough.
pub async fn run(model: Model, look: &Look, updates: mpsc::Receiver<Update>) -> Result<(), Error> {
    // Also sets a panic hook that restores the terminal.
    let terminal = ratatui::try_init().map_err(Error::Terminal)?;
    let result = show(terminal, model, look, updates).await;
    ratatui::restore();
    result
}

async fn show(
    mut terminal: DefaultTerminal,
    mut model: Model,
    look: &Look,
    mut updates: mpsc::Receiver<Update>,
) -> Result<(), Error> {
    let mut wishes = keys();
    let mut stop = [
        signal(SignalKind::terminate()).map_err(Error::Terminal)?,
        signal(SignalKind::interrupt()).map_err(Error::Terminal)?,
        signal(SignalKind::hangup()).map_err(Error::Terminal)?,
    ];
    let [terminate, interrupt, hangup] = &mut stop;
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        model.now = now();
        terminal
            .draw(|frame| view::draw(frame, &model, look))
            .map_err(Error::Terminal)?;
        tokio::select! {
            update = updates.recv() => match update {
                Some(update) => {
                    model.now = now();
                    model.apply(update);
                    // One picture for all that has come meanwhile.
                    while let Ok(update) = updates.try_recv() {
                        model.apply(update);
                    }
                }
                None => return Err(Error::Bus("the connection was closed".to_owned())),
            },
            wish = wishes.recv() => match wish {
                Some(Wish::Scroll(lines)) => model.scroll(lines),
                Some(Wish::Redraw) => {}
                Some(Wish::Quit) | None => return Ok(()),
            },
            _ = tick.tick() => {}
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = hangup.recv() => return Ok(()),
        }
    }
}

/// Reads keys on a thread of its own: reading blocks. The thread ends with the process or when
/// nobody listens.
fn keys() -> mpsc::Receiver<Wish> {
    let (sender, receiver) = mpsc::channel(16);
    thread::spawn(move || {
        while let Ok(event) = event::read() {
            if let Some(wish) = wish(&event)
                && sender.blocking_send(wish).is_err()
            {
                return;
            }
        }
    });
    receiver
}

/// What an event of the terminal asks for.
fn wish(event: &Event) -> Option<Wish> {
    match event {
        Event::Resize(..) => Some(Wish::Redraw),
        Event::Key(key) if key.kind != KeyEventKind::Release => key_wish(*key),
        _ => None,
    }
}

fn key_wish(key: KeyEvent) -> Option<Wish> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    match key.code {
        KeyCode::Char('c' | 'd') if control => Some(Wish::Quit),
        KeyCode::Char('l') if control => Some(Wish::Redraw),
        KeyCode::Char('q' | 'Q') | KeyCode::Esc => Some(Wish::Quit),
        KeyCode::Up | KeyCode::Char('k') => Some(Wish::Scroll(-1)),
        KeyCode::Down | KeyCode::Char('j') => Some(Wish::Scroll(1)),
        KeyCode::PageUp => Some(Wish::Scroll(-10)),
        KeyCode::PageDown => Some(Wish::Scroll(10)),
        KeyCode::Home | KeyCode::Char('g') => Some(Wish::Scroll(isize::MIN)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_do_what_the_footer_says() {
        let none = KeyModifiers::NONE;
        for (code, modifiers, expected) in [
            (KeyCode::Char('q'), none, Some(Wish::Quit)),
            (KeyCode::Esc, none, Some(Wish::Quit)),
            (KeyCode::Char('c'), KeyModifiers::CONTROL, Some(Wish::Quit)),
            (KeyCode::Char('c'), none, None),
            (KeyCode::Down, none, Some(Wish::Scroll(1))),
            (KeyCode::Up, none, Some(Wish::Scroll(-1))),
            (KeyCode::Char('x'), none, None),
        ] {
            let event = Event::Key(KeyEvent::new(code, modifiers));
            assert_eq!(wish(&event), expected, "{code:?}");
        }
        assert_eq!(wish(&Event::Resize(80, 24)), Some(Wish::Redraw));
    }
}
