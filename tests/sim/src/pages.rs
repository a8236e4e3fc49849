//! The two lists, in pages: every device there is, and what changed.

use crate::calls::BodyCall;
use crate::cursor::{Cursor, Position};
use crate::device::{Device, Op};
use crate::inventory::Look;
use crate::service::{Refusal, body, refuse};
use crate::view::{Seconds, View};
use serde::Serialize;
use serde_json::Value;

/// How old a cursor may be for a sync, in milliseconds.
const CURSOR_LIFETIME: i64 = 7 * 24 * 3600 * 1000;
/// The page size of a client that asks for none.
const DEFAULT_LIMIT: usize = 100;

#[derive(Serialize)]
struct PageBody<'a> {
    cursor: String,
    fetched_until: Seconds,
    more_to_follow: bool,
    devices: Vec<View<'a>>,
}

impl BodyCall<'_> {
    pub(crate) fn fetch(&mut self) -> Result<Vec<u8>, Refusal> {
        let (asked, limit) = self.cursor_and_limit()?;
        let (inventory, now) = (&self.server.inventory, self.now.as_second());
        let (next, end, journal) = match asked.map(|cursor| cursor.position) {
            None => (0, inventory.slots(), inventory.journal_end(now)),
            Some(Position::Fetch { next, end, .. }) if next >= end => return refuse(400, "EXHAUSTED_CURSOR"),
            Some(Position::Sync { .. }) => return refuse(400, "EXHAUSTED_CURSOR"),
            Some(Position::Fetch { next, end, journal }) => (next, end, journal),
        };
        self.refuse_expired(asked)?;
        if asked.is_some_and(|cursor| cursor.gap) {
            return self.gap(Position::Fetch { next, end, journal });
        }
        let page = inventory.fetch(next, end, self.look(limit, &|device| self.is_hidden(device)));
        let until = match (page.more, page.items.last()) {
            (true, Some(last)) => last.assigned_date,
            _ => now,
        };
        let view = |device| View { device, version: self.version, op: None, response_status: None };
        let (position, more) = (Position::Fetch { next: page.next, end, journal }, page.more);
        let devices = page.items.into_iter().map(view).collect::<Vec<_>>();
        let (count, answer) = (devices.len(), self.page(position, more, until, devices));
        self.facts.devices_out = count;
        answer
    }

    /// A cursor of a fetch seeds the first sync; it shows what happened since that fetch began.
    pub(crate) fn sync(&mut self) -> Result<Vec<u8>, Refusal> {
        let (asked, limit) = self.cursor_and_limit()?;
        let (inventory, now) = (&self.server.inventory, self.now.as_second());
        let Some(cursor) = asked else { return refuse(400, "CURSOR_REQUIRED") };
        self.refuse_expired(asked)?;
        let (Position::Fetch { journal, .. } | Position::Sync { journal }) = cursor.position;
        if cursor.gap && matches!(cursor.position, Position::Sync { .. }) {
            return self.gap(cursor.position);
        }
        if self.settings.exhausted_cursor && journal >= inventory.journal_end(now) {
            return refuse(400, "EXHAUSTED_CURSOR");
        }
        let page = inventory.sync(journal, self.look(limit, &|device| self.is_hidden(device)));
        let until = match (page.more, page.items.last()) {
            (true, Some((_, _, at))) => *at,
            _ => now,
        };
        let view = |(device, op, at): (_, Op, i64)| View {
            device,
            version: self.version,
            op: Some((op, at)),
            response_status: None,
        };
        let (position, more) = (Position::Sync { journal: page.next }, page.more);
        let devices = page.items.into_iter().map(view).collect::<Vec<_>>();
        let (count, answer) = (devices.len(), self.page(position, more, until, devices));
        self.facts.devices_out = count;
        answer
    }

    /// A page with nothing on it, between two that have something.
    fn gap(&self, position: Position) -> Result<Vec<u8>, Refusal> {
        self.write(
            Cursor { position, issued: self.now.as_millisecond(), gap: false },
            true,
            self.now.as_second(),
            Vec::new(),
        )
    }

    fn page(
        &self,
        position: Position,
        more: bool,
        until: i64,
        devices: Vec<View>,
    ) -> Result<Vec<u8>, Refusal> {
        let gap = more && self.settings.empty_pages;
        self.write(Cursor { position, issued: self.now.as_millisecond(), gap }, more, until, devices)
    }

    fn write(&self, cursor: Cursor, more: bool, until: i64, devices: Vec<View>) -> Result<Vec<u8>, Refusal> {
        body(&PageBody {
            cursor: cursor.encode(&self.server.uuid),
            fetched_until: Seconds(until),
            more_to_follow: more,
            devices,
        })
    }

    fn look<'a>(&self, limit: usize, hidden: &'a dyn Fn(&Device) -> bool) -> Look<'a> {
        Look { limit, now: self.now.as_second(), hidden, duplicates: self.settings.duplicates }
    }

    fn is_hidden(&self, device: &Device) -> bool {
        self.settings.hide_throttled && self.server.throttles.holds(&device.serial, self.now.as_second())
    }

    fn cursor_and_limit(&mut self) -> Result<(Option<Cursor>, usize), Refusal> {
        let limit = match self.body.get("limit") {
            None | Some(Value::Null) => None,
            Some(limit) => Some(limit.as_i64().ok_or(Refusal {
                status: 400,
                code: "MALFORMED_REQUEST_BODY",
                why: Some("the limit is not a whole number"),
            })?),
        };
        let cursor = match self.body.get("cursor") {
            None | Some(Value::Null) => None,
            Some(Value::String(text)) if text.is_empty() => None,
            Some(Value::String(text)) => Some(text.clone()),
            Some(_) => return refuse(400, "MALFORMED_REQUEST_BODY"),
        };
        (self.facts.limit, self.facts.cursor) = (limit, cursor.clone());
        let cursor = match cursor.map(|text| Cursor::decode(&text, &self.server.uuid)) {
            Some(None) => return refuse(400, "INVALID_CURSOR"),
            other => other.flatten(),
        };
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
        Ok((cursor, limit.unwrap_or(DEFAULT_LIMIT).min(self.server.page_limit)))
    }

    fn refuse_expired(&self, cursor: Option<Cursor>) -> Result<(), Refusal> {
        match cursor {
            Some(cursor) if self.now.as_millisecond() - cursor.issued > CURSOR_LIFETIME => {
                refuse(400, "EXPIRED_CURSOR")
            }
            _ => Ok(()),
        }
    }
}
