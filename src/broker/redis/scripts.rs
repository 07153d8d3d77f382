//! What must be atomic together: one Lua script each, in its own file.

use redis::Script;

macro_rules! script {
    ($file:literal) => {
        Script::new(concat!(
            include_str!("lua/lib.lua"),
            "\n",
            include_str!(concat!("lua/", $file, ".lua"))
        ))
    };
}

pub(super) struct Scripts {
    pub join: Script,
    pub append: Script,
    pub pulse: Script,
    pub open: Script,
    pub save: Script,
    pub release: Script,
    pub ask: Script,
    pub leave: Script,
    pub spend: Script,
    pub tidy: Script,
}

impl Scripts {
    pub fn new() -> Self {
        Self {
            join: script!("join"),
            append: script!("append"),
            pulse: script!("pulse"),
            open: script!("open"),
            save: script!("save"),
            release: script!("release"),
            ask: script!("ask"),
            leave: script!("leave"),
            spend: script!("spend"),
            tidy: script!("tidy"),
        }
    }
}
