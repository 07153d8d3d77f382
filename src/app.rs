//! (composition root)

use crate::config::Settings;

pub async fn serve(_settings: Settings, _demo: bool) -> anyhow::Result<()> {
    anyhow::bail!("being built")
}
