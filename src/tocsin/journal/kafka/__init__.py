"""The `Log` port on a Kafka cluster: topics with a partition for each group of shards."""
