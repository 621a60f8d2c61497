"""Many machines: events, results, dead letters and consent as topics of Apache Kafka."""
