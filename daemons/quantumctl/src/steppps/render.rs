//! Dimensions as text.

use jiff::tz::TimeZone;
use serde_json::{Map, Value as Json};

use super::Dimension;
use crate::{
    status::model::DimensionHealth,
    text::{
        escape::escape,
        style::Style,
        table::{Table, pairs},
        time::{clock, local},
        tree::tree,
        value::{fields, line},
    },
};

/// One line a dimension.
pub fn overview(dimensions: &[DimensionHealth], style: Style) -> String {
    let mut table = Table::new(&["DIMENSION", "HEALTH", "AVAILABLE", "REASON"]);
    for dimension in dimensions {
        table.row([
            escape(&dimension.name),
            escape(&dimension.health),
            if dimension.available { "yes" } else { "no" }.to_owned(),
            escape(&dimension.reason),
        ]);
    }
    table.render(|column, cell, aligned| match column {
        1 => style.severity(cell, aligned),
        _ => aligned.to_owned(),
    })
}

/// Everything about one dimension.
pub fn details(dimension: &Dimension, style: Style, zone: &TimeZone) -> String {
    let sources: Vec<String> = dimension.source.iter().map(|s| escape(s)).collect();
    let mut rows = vec![
        ("Dimension", escape(&dimension.name)),
        (
            "Health",
            style.severity(&dimension.health, &escape(&dimension.health)),
        ),
        ("Available", line(&Json::Bool(dimension.available))),
    ];
    if !dimension.reason.is_empty() {
        rows.push(("Reason", escape(&dimension.reason)));
    }
    rows.push(("Sources", sources.join(", ")));
    rows.push(("Updated", local(dimension.updated_at, zone)));
    let mut text = pairs(&rows);
    if !dimension.state.is_empty() {
        text.push_str("State:\n");
        text.push_str(&tree(&Json::Object(dimension.state.clone()), 1));
    }
    text
}

/// A change, on one line.
pub fn change(time: u64, dimension: &str, changed: &Map<String, Json>, zone: &TimeZone) -> String {
    format!(
        "{}  {:<10}  {}\n",
        clock(time, zone),
        escape(dimension),
        fields(changed)
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOON: u64 = 1_763_726_400_000_000;

    #[test]
    fn an_overview_says_why_not() {
        let dimensions = [
            DimensionHealth {
                name: "space".into(),
                available: true,
                health: "ok".into(),
                reason: String::new(),
            },
            DimensionHealth {
                name: "pixel".into(),
                available: false,
                health: "unknown".into(),
                reason: "no display in /sys/class/drm".into(),
            },
        ];
        assert_eq!(
            overview(&dimensions, Style::PLAIN),
            "\
DIMENSION  HEALTH   AVAILABLE  REASON
space      ok       yes
pixel      unknown  no         no display in /sys/class/drm
"
        );
    }

    #[test]
    fn details_list_the_state() {
        let dimension = Dimension {
            name: "space".into(),
            available: true,
            health: "ok".into(),
            source: vec!["/proc/meminfo".into(), "/sys/devices".into()],
            reason: String::new(),
            state: json!({"CpuCount": 4, "Disks": ["vda"]})
                .as_object()
                .cloned()
                .unwrap(),
            updated_at: NOON,
        };
        assert_eq!(
            details(&dimension, Style::PLAIN, &TimeZone::UTC),
            "\
Dimension:  space
Health:     ok
Available:  yes
Sources:    /proc/meminfo, /sys/devices
Updated:    2025-11-21 12:00:00
State:
  CpuCount: 4
  Disks: [vda]
"
        );
    }

    #[test]
    fn a_change_is_one_line() {
        let changed = json!({"UsedMiB": 512, "Note": "a\nb"});
        assert_eq!(
            change(NOON, "space", changed.as_object().unwrap(), &TimeZone::UTC),
            "12:00:00  space       Note=a\\nb UsedMiB=512\n"
        );
    }
}
