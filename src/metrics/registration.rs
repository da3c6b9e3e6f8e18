//! Registers metrics, whose options are literals and thus valid.

use prometheus::core::Collector;
use prometheus::{Counter, CounterVec, Gauge, GaugeVec, Opts, Registry};

const VALID: &str = "the literal options are valid";

pub(super) fn add<C: Collector + Clone + 'static>(registry: &Registry, collector: C) -> C {
    registry.register(Box::new(collector.clone())).expect("each literal name is registered once");
    collector
}

pub(super) fn gauge(registry: &Registry, name: &str, help: &str) -> Gauge {
    add(registry, Gauge::new(name, help).expect(VALID))
}

pub(super) fn counter(registry: &Registry, name: &str, help: &str) -> Counter {
    add(registry, Counter::new(name, help).expect(VALID))
}

pub(super) fn gauges(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> GaugeVec {
    add(registry, GaugeVec::new(Opts::new(name, help), labels).expect(VALID))
}

pub(super) fn counters(registry: &Registry, name: &str, help: &str, labels: &[&str]) -> CounterVec {
    add(registry, CounterVec::new(Opts::new(name, help), labels).expect(VALID))
}
