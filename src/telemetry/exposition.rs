//! How the kinds of metrics are written in OpenMetrics.

use std::fmt;

use prometheus_client::encoding::{
    DescriptorEncoder, EncodeGaugeValue, EncodeLabelSet, MetricEncoder, NoLabelSet,
};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Unit;

use super::delivered::Delivered;

/// Says each kind of metric in one call. The encoder adds `_total` and the unit to the name.
pub(super) struct Out<'a>(pub(super) DescriptorEncoder<'a>);

impl Out<'_> {
    pub(super) fn describe<'s>(
        &'s mut self,
        name: &'s str,
        help: &str,
        unit: Option<&'s Unit>,
        kind: MetricType,
    ) -> Result<MetricEncoder<'s>, fmt::Error> {
        self.0.encode_descriptor(name, help, unit, kind)
    }

    pub(super) fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        self.describe(name, help, None, MetricType::Counter)?
            .encode_counter::<NoLabelSet, _, f64>(&value, None)
    }

    pub(super) fn counters<'v>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        values: impl IntoIterator<Item = (&'v str, u64)>,
    ) -> fmt::Result {
        let values = values.into_iter();
        self.family(name, help, values.map(|(is, value)| ([(label, is)], value)))
    }

    pub(super) fn deliveries(
        &mut self,
        name: &str,
        help: &str,
        delivered: &Delivered,
    ) -> fmt::Result {
        let values = delivered.iter().map(|(transport, priority, count)| {
            let labels = [
                ("transport", transport.as_str()),
                ("priority", priority.as_str()),
            ];
            (labels, count)
        });
        self.family(name, help, values)
    }

    /// Counters of one name, each with its labels.
    pub(super) fn family<S: EncodeLabelSet>(
        &mut self,
        name: &str,
        help: &str,
        values: impl IntoIterator<Item = (S, u64)>,
    ) -> fmt::Result {
        let mut family = self.describe(name, help, None, MetricType::Counter)?;
        for (labels, value) in values {
            family
                .encode_family(&labels)?
                .encode_counter::<NoLabelSet, _, f64>(&value, None)?;
        }
        Ok(())
    }

    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        value: &impl EncodeGaugeValue,
    ) -> fmt::Result {
        self.describe(name, help, unit, MetricType::Gauge)?
            .encode_gauge(value)
    }

    pub(super) fn gauges<'v, V: EncodeGaugeValue>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        label: &str,
        values: impl IntoIterator<Item = (&'v str, V)>,
    ) -> fmt::Result {
        let mut family = self.describe(name, help, unit, MetricType::Gauge)?;
        for (is, value) in values {
            family.encode_family(&[(label, is)])?.encode_gauge(&value)?;
        }
        Ok(())
    }
}
