//! How long things are on their way.

use std::time::Duration;

use super::HubHandle;
use super::canary;
#[cfg(test)]
use super::canary::Canary;

impl HubHandle {
    /// From now on [`HubHandle::lag`] and [`HubHandle::store_lag`] are measured. In an actix system, once.
    pub fn measure_lag(&self) {
        let hub = self.clone();
        actix_rt::spawn(canary::send_on(
            self.canary.clone(),
            self.clock,
            canary::TO_CONNECTIONS_EVERY,
            async move || hub.pulse().await,
        ));
        if let Some(store) = self.store.clone() {
            actix_rt::spawn(canary::send_on(
                self.store_canary.clone(),
                self.clock,
                canary::TO_STORE_EVERY,
                async move || store.pulse().await,
            ));
        }
    }

    /// How long a message is on its way from the Hub to its connections at the moment.
    pub fn lag(&self) -> Duration {
        self.canary.lag(self.clock.mono())
    }

    /// How long something is on its way to the store at the moment, measured every ten seconds; nothing where
    /// there is none.
    pub fn store_lag(&self) -> Duration {
        self.store_canary.lag(self.clock.mono())
    }

    #[cfg(test)]
    pub(in crate::hub) fn canary(&self) -> &Canary {
        &self.canary
    }
}
