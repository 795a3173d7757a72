CREATE DATABASE IF NOT EXISTS tocsin ON CLUSTER `one`;

CREATE TABLE IF NOT EXISTS tocsin.series_local ON CLUSTER `one` (
  `tenant` LowCardinality(String) CODEC(ZSTD(1)),
  `signal` LowCardinality(String) CODEC(ZSTD(1)),
  `id` FixedString(16) CODEC(ZSTD(1)),
  `origin` LowCardinality(String) CODEC(ZSTD(1)),
  `unit` LowCardinality(String) CODEC(ZSTD(1)),
  `kind` LowCardinality(String) CODEC(ZSTD(1)),
  `monotonic` Bool CODEC(ZSTD(1)),
  `cumulative` Bool CODEC(ZSTD(1)),
  `labels` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  `first_seen` Int64 CODEC(ZSTD(1)),
  `stored` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/one/{shard}/tocsin/series', '{replica}', stored)
ORDER BY (tenant, signal, id, origin)
SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, storage_policy = 'tiered';

CREATE TABLE IF NOT EXISTS tocsin.series ON CLUSTER `one` (
  `tenant` LowCardinality(String),
  `signal` LowCardinality(String),
  `id` FixedString(16),
  `origin` LowCardinality(String),
  `unit` LowCardinality(String),
  `kind` LowCardinality(String),
  `monotonic` Bool,
  `cumulative` Bool,
  `labels` Map(LowCardinality(String), String),
  `first_seen` Int64,
  `stored` DateTime64(3, 'UTC')
) ENGINE = Distributed('one', 'tocsin', 'series_local', cityHash64(tenant, id));

CREATE TABLE IF NOT EXISTS tocsin.points_local ON CLUSTER `one` (
  `tenant` LowCardinality(String) CODEC(ZSTD(1)),
  `signal` LowCardinality(String) CODEC(ZSTD(1)),
  `series` FixedString(16) CODEC(ZSTD(1)),
  `time` Int64 CODEC(DoubleDelta, ZSTD(1)),
  `value` Float64 CODEC(ZSTD(1)),
  `start` Int64 CODEC(ZSTD(1)),
  `flags` UInt8 CODEC(ZSTD(1)),
  `stored` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  INDEX by_stored stored TYPE minmax GRANULARITY 1
) ENGINE = ReplicatedMergeTree('/clickhouse/tables/one/{shard}/tocsin/points', '{replica}')
PARTITION BY intDiv(time, 86400000000000)
ORDER BY (tenant, signal, series, time)
TTL toDateTime(stored) + INTERVAL 172800 SECOND TO VOLUME 'cold', toDateTime(stored) + INTERVAL 2592000 SECOND DELETE
SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, storage_policy = 'tiered';

CREATE TABLE IF NOT EXISTS tocsin.points ON CLUSTER `one` (
  `tenant` LowCardinality(String),
  `signal` LowCardinality(String),
  `series` FixedString(16),
  `time` Int64,
  `value` Float64,
  `start` Int64,
  `flags` UInt8,
  `stored` DateTime64(3, 'UTC')
) ENGINE = Distributed('one', 'tocsin', 'points_local', cityHash64(tenant, series));

CREATE TABLE IF NOT EXISTS tocsin.points_1m_local ON CLUSTER `one` (
  `tenant` LowCardinality(String) CODEC(ZSTD(1)),
  `signal` LowCardinality(String) CODEC(ZSTD(1)),
  `series` FixedString(16) CODEC(ZSTD(1)),
  `time` Int64 CODEC(DoubleDelta, ZSTD(1)),
  `low` Float64 CODEC(ZSTD(1)),
  `high` Float64 CODEC(ZSTD(1)),
  `total` Float64 CODEC(ZSTD(1)),
  `samples` UInt32 CODEC(T64, ZSTD(1)),
  `last` Float64 CODEC(ZSTD(1)),
  `stored` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/one/{shard}/tocsin/points_1m', '{replica}', stored)
PARTITION BY intDiv(time, 2592000000000000)
ORDER BY (tenant, signal, series, time)
TTL toDateTime(stored) + INTERVAL 172800 SECOND TO VOLUME 'cold', toDateTime(stored) + INTERVAL 34560000 SECOND DELETE
SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, storage_policy = 'tiered';

CREATE TABLE IF NOT EXISTS tocsin.points_1m ON CLUSTER `one` (
  `tenant` LowCardinality(String),
  `signal` LowCardinality(String),
  `series` FixedString(16),
  `time` Int64,
  `low` Float64,
  `high` Float64,
  `total` Float64,
  `samples` UInt32,
  `last` Float64,
  `stored` DateTime64(3, 'UTC')
) ENGINE = Distributed('one', 'tocsin', 'points_1m_local', cityHash64(tenant, series));

CREATE TABLE IF NOT EXISTS tocsin.distributions_local ON CLUSTER `one` (
  `tenant` LowCardinality(String) CODEC(ZSTD(1)),
  `signal` LowCardinality(String) CODEC(ZSTD(1)),
  `series` FixedString(16) CODEC(ZSTD(1)),
  `time` Int64 CODEC(DoubleDelta, ZSTD(1)),
  `start` Int64 CODEC(ZSTD(1)),
  `flags` UInt8 CODEC(ZSTD(1)),
  `count` Float64 CODEC(ZSTD(1)),
  `sum` Float64 CODEC(ZSTD(1)),
  `min` Float64 CODEC(ZSTD(1)),
  `max` Float64 CODEC(ZSTD(1)),
  `bounds` Array(Float64) CODEC(ZSTD(1)),
  `counts` Array(Float64) CODEC(ZSTD(1)),
  `scale` Nullable(Int32) CODEC(ZSTD(1)),
  `zero_count` Nullable(Float64) CODEC(ZSTD(1)),
  `offset` Nullable(Int32) CODEC(ZSTD(1)),
  `negative_offset` Nullable(Int32) CODEC(ZSTD(1)),
  `negative_counts` Array(Float64) CODEC(ZSTD(1)),
  `stored` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  INDEX by_stored stored TYPE minmax GRANULARITY 1
) ENGINE = ReplicatedMergeTree('/clickhouse/tables/one/{shard}/tocsin/distributions', '{replica}')
PARTITION BY intDiv(time, 86400000000000)
ORDER BY (tenant, signal, series, time)
TTL toDateTime(stored) + INTERVAL 172800 SECOND TO VOLUME 'cold', toDateTime(stored) + INTERVAL 2592000 SECOND DELETE
SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, storage_policy = 'tiered';

CREATE TABLE IF NOT EXISTS tocsin.distributions ON CLUSTER `one` (
  `tenant` LowCardinality(String),
  `signal` LowCardinality(String),
  `series` FixedString(16),
  `time` Int64,
  `start` Int64,
  `flags` UInt8,
  `count` Float64,
  `sum` Float64,
  `min` Float64,
  `max` Float64,
  `bounds` Array(Float64),
  `counts` Array(Float64),
  `scale` Nullable(Int32),
  `zero_count` Nullable(Float64),
  `offset` Nullable(Int32),
  `negative_offset` Nullable(Int32),
  `negative_counts` Array(Float64),
  `stored` DateTime64(3, 'UTC')
) ENGINE = Distributed('one', 'tocsin', 'distributions_local', cityHash64(tenant, series));

CREATE TABLE IF NOT EXISTS tocsin.spans_local ON CLUSTER `one` (
  `tenant` LowCardinality(String) CODEC(ZSTD(1)),
  `service` LowCardinality(String) CODEC(ZSTD(1)),
  `time` Int64 CODEC(Delta, ZSTD(1)),
  `start` Int64 CODEC(Delta, ZSTD(1)),
  `trace_id` FixedString(16) CODEC(ZSTD(1)),
  `span_id` FixedString(8) CODEC(ZSTD(1)),
  `parent_id` FixedString(8) CODEC(ZSTD(1)),
  `name` LowCardinality(String) CODEC(ZSTD(1)),
  `kind` LowCardinality(String) CODEC(ZSTD(1)),
  `status` LowCardinality(String) CODEC(ZSTD(1)),
  `status_message` String CODEC(ZSTD(1)),
  `scope` LowCardinality(String) CODEC(ZSTD(1)),
  `resource` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  `attributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  `events` String CODEC(ZSTD(1)),
  `model_call` Bool CODEC(ZSTD(1)),
  `operation` LowCardinality(String) CODEC(ZSTD(1)),
  `provider` LowCardinality(String) CODEC(ZSTD(1)),
  `request_model` LowCardinality(String) CODEC(ZSTD(1)),
  `response_model` LowCardinality(String) CODEC(ZSTD(1)),
  `input_tokens` Nullable(Int64) CODEC(T64, ZSTD(1)),
  `output_tokens` Nullable(Int64) CODEC(T64, ZSTD(1)),
  `total_tokens` Nullable(Int64) CODEC(T64, ZSTD(1)),
  `finish_reason` LowCardinality(String) CODEC(ZSTD(1)),
  `error_class` LowCardinality(String) CODEC(ZSTD(1)),
  `cost_usd` Nullable(Float64) CODEC(ZSTD(1)),
  `time_to_first_token_s` Nullable(Float64) CODEC(ZSTD(1)),
  `prompt_version` LowCardinality(String) CODEC(ZSTD(1)),
  `counted` Bool CODEC(ZSTD(1)),
  `estimated` Bool CODEC(ZSTD(1)),
  `cache_read_tokens` Nullable(Int64) CODEC(T64, ZSTD(1)),
  `cache_write_tokens` Nullable(Int64) CODEC(T64, ZSTD(1)),
  `reasoning_tokens` Nullable(Int64) CODEC(T64, ZSTD(1)),
  `context_limit_tokens` Nullable(Int64) CODEC(T64, ZSTD(1)),
  `context_utilization_ratio` Nullable(Float64) CODEC(ZSTD(1)),
  `context_limit_warning` Nullable(Bool) CODEC(ZSTD(1)),
  `prompt_truncation_risk` Nullable(Bool) CODEC(ZSTD(1)),
  `time_per_output_token_s` Nullable(Float64) CODEC(ZSTD(1)),
  `retries` Nullable(Int64) CODEC(T64, ZSTD(1)),
  `response_id` String CODEC(ZSTD(1)),
  `region` LowCardinality(String) CODEC(ZSTD(1)),
  `prompt_name` LowCardinality(String) CODEC(ZSTD(1)),
  `user` String CODEC(ZSTD(1)),
  `session` String CODEC(ZSTD(1)),
  `customer` LowCardinality(String) CODEC(ZSTD(1)),
  `stored` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  INDEX by_stored stored TYPE minmax GRANULARITY 1,
  INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 1
) ENGINE = ReplicatedMergeTree('/clickhouse/tables/one/{shard}/tocsin/spans', '{replica}')
PARTITION BY intDiv(time, 86400000000000)
ORDER BY (tenant, service, time)
TTL toDateTime(stored) + INTERVAL 172800 SECOND TO VOLUME 'cold', toDateTime(stored) + INTERVAL 604800 SECOND DELETE
SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, storage_policy = 'tiered';

CREATE TABLE IF NOT EXISTS tocsin.spans ON CLUSTER `one` (
  `tenant` LowCardinality(String),
  `service` LowCardinality(String),
  `time` Int64,
  `start` Int64,
  `trace_id` FixedString(16),
  `span_id` FixedString(8),
  `parent_id` FixedString(8),
  `name` LowCardinality(String),
  `kind` LowCardinality(String),
  `status` LowCardinality(String),
  `status_message` String,
  `scope` LowCardinality(String),
  `resource` Map(LowCardinality(String), String),
  `attributes` Map(LowCardinality(String), String),
  `events` String,
  `model_call` Bool,
  `operation` LowCardinality(String),
  `provider` LowCardinality(String),
  `request_model` LowCardinality(String),
  `response_model` LowCardinality(String),
  `input_tokens` Nullable(Int64),
  `output_tokens` Nullable(Int64),
  `total_tokens` Nullable(Int64),
  `finish_reason` LowCardinality(String),
  `error_class` LowCardinality(String),
  `cost_usd` Nullable(Float64),
  `time_to_first_token_s` Nullable(Float64),
  `prompt_version` LowCardinality(String),
  `counted` Bool,
  `estimated` Bool,
  `cache_read_tokens` Nullable(Int64),
  `cache_write_tokens` Nullable(Int64),
  `reasoning_tokens` Nullable(Int64),
  `context_limit_tokens` Nullable(Int64),
  `context_utilization_ratio` Nullable(Float64),
  `context_limit_warning` Nullable(Bool),
  `prompt_truncation_risk` Nullable(Bool),
  `time_per_output_token_s` Nullable(Float64),
  `retries` Nullable(Int64),
  `response_id` String,
  `region` LowCardinality(String),
  `prompt_name` LowCardinality(String),
  `user` String,
  `session` String,
  `customer` LowCardinality(String),
  `stored` DateTime64(3, 'UTC')
) ENGINE = Distributed('one', 'tocsin', 'spans_local', cityHash64(tenant, trace_id));

CREATE TABLE IF NOT EXISTS tocsin.logs_local ON CLUSTER `one` (
  `tenant` LowCardinality(String) CODEC(ZSTD(1)),
  `service` LowCardinality(String) CODEC(ZSTD(1)),
  `time` Int64 CODEC(Delta, ZSTD(1)),
  `severity` LowCardinality(String) CODEC(ZSTD(1)),
  `severity_number` Int32 CODEC(ZSTD(1)),
  `body` String CODEC(ZSTD(1)),
  `event_name` LowCardinality(String) CODEC(ZSTD(1)),
  `shape` Int64 CODEC(ZSTD(1)),
  `trace_id` FixedString(16) CODEC(ZSTD(1)),
  `span_id` FixedString(8) CODEC(ZSTD(1)),
  `resource` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  `attributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  `stored` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  INDEX by_stored stored TYPE minmax GRANULARITY 1,
  INDEX by_trace trace_id TYPE bloom_filter(0.01) GRANULARITY 1
) ENGINE = ReplicatedMergeTree('/clickhouse/tables/one/{shard}/tocsin/logs', '{replica}')
PARTITION BY intDiv(time, 86400000000000)
ORDER BY (tenant, service, time)
TTL toDateTime(stored) + INTERVAL 172800 SECOND TO VOLUME 'cold', toDateTime(stored) + INTERVAL 604800 SECOND DELETE
SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, storage_policy = 'tiered';

CREATE TABLE IF NOT EXISTS tocsin.logs ON CLUSTER `one` (
  `tenant` LowCardinality(String),
  `service` LowCardinality(String),
  `time` Int64,
  `severity` LowCardinality(String),
  `severity_number` Int32,
  `body` String,
  `event_name` LowCardinality(String),
  `shape` Int64,
  `trace_id` FixedString(16),
  `span_id` FixedString(8),
  `resource` Map(LowCardinality(String), String),
  `attributes` Map(LowCardinality(String), String),
  `stored` DateTime64(3, 'UTC')
) ENGINE = Distributed('one', 'tocsin', 'logs_local', cityHash64(tenant, service, time));

CREATE TABLE IF NOT EXISTS tocsin.log_templates_local ON CLUSTER `one` (
  `tenant` LowCardinality(String) CODEC(ZSTD(1)),
  `shape` Int64 CODEC(ZSTD(1)),
  `time` Int64 CODEC(ZSTD(1)),
  `template` String CODEC(ZSTD(1)),
  `text` String CODEC(ZSTD(1)),
  `stored` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/one/{shard}/tocsin/log_templates', '{replica}', time)
ORDER BY (tenant, shape)
SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, storage_policy = 'tiered';

CREATE TABLE IF NOT EXISTS tocsin.log_templates ON CLUSTER `one` (
  `tenant` LowCardinality(String),
  `shape` Int64,
  `time` Int64,
  `template` String,
  `text` String,
  `stored` DateTime64(3, 'UTC')
) ENGINE = Distributed('one', 'tocsin', 'log_templates_local', cityHash64(tenant, shape));

CREATE TABLE IF NOT EXISTS tocsin.records_local ON CLUSTER `one` (
  `tenant` LowCardinality(String) CODEC(ZSTD(1)),
  `model` LowCardinality(String) CODEC(ZSTD(1)),
  `version` LowCardinality(String) CODEC(ZSTD(1)),
  `time` Int64 CODEC(Delta, ZSTD(1)),
  `prediction_id` String CODEC(ZSTD(1)),
  `prediction` String CODEC(ZSTD(1)),
  `score` Nullable(Float64) CODEC(ZSTD(1)),
  `features` String CODEC(ZSTD(1)),
  `tags` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  `truth` String CODEC(ZSTD(1)),
  `feedback` String CODEC(ZSTD(1)),
  `kind` LowCardinality(String) DEFAULT 'prediction' CODEC(ZSTD(1)),
  `embedding` Array(Float32) CODEC(ZSTD(1)),
  `attributions` String CODEC(ZSTD(1)),
  `attention` String CODEC(ZSTD(1)),
  `stored` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  INDEX by_stored stored TYPE minmax GRANULARITY 1,
  INDEX by_prediction prediction_id TYPE bloom_filter(0.01) GRANULARITY 1
) ENGINE = ReplicatedMergeTree('/clickhouse/tables/one/{shard}/tocsin/records', '{replica}')
PARTITION BY intDiv(time, 86400000000000)
ORDER BY (tenant, model, time, prediction_id)
TTL toDateTime(stored) + INTERVAL 172800 SECOND TO VOLUME 'cold', toDateTime(stored) + INTERVAL 7776000 SECOND DELETE
SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, storage_policy = 'tiered';

CREATE TABLE IF NOT EXISTS tocsin.records ON CLUSTER `one` (
  `tenant` LowCardinality(String),
  `model` LowCardinality(String),
  `version` LowCardinality(String),
  `time` Int64,
  `prediction_id` String,
  `prediction` String,
  `score` Nullable(Float64),
  `features` String,
  `tags` Map(LowCardinality(String), String),
  `truth` String,
  `feedback` String,
  `kind` LowCardinality(String) DEFAULT 'prediction',
  `embedding` Array(Float32),
  `attributions` String,
  `attention` String,
  `stored` DateTime64(3, 'UTC')
) ENGINE = Distributed('one', 'tocsin', 'records_local', cityHash64(tenant, prediction_id, if(prediction_id = '', time, 0)));

CREATE TABLE IF NOT EXISTS tocsin.events_local ON CLUSTER `one` (
  `tenant` LowCardinality(String) CODEC(ZSTD(1)),
  `time` Int64 CODEC(Delta, ZSTD(1)),
  `kind` LowCardinality(String) CODEC(ZSTD(1)),
  `entity` String CODEC(ZSTD(1)),
  `what` String CODEC(ZSTD(1)),
  `source` LowCardinality(String) CODEC(ZSTD(1)),
  `attributes` Map(LowCardinality(String), String) CODEC(ZSTD(1)),
  `stored` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  INDEX by_stored stored TYPE minmax GRANULARITY 1
) ENGINE = ReplicatedMergeTree('/clickhouse/tables/one/{shard}/tocsin/events', '{replica}')
PARTITION BY intDiv(time, 2592000000000000)
ORDER BY (tenant, time)
TTL toDateTime(stored) + INTERVAL 172800 SECOND TO VOLUME 'cold', toDateTime(stored) + INTERVAL 34560000 SECOND DELETE
SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, storage_policy = 'tiered';

CREATE TABLE IF NOT EXISTS tocsin.events ON CLUSTER `one` (
  `tenant` LowCardinality(String),
  `time` Int64,
  `kind` LowCardinality(String),
  `entity` String,
  `what` String,
  `source` LowCardinality(String),
  `attributes` Map(LowCardinality(String), String),
  `stored` DateTime64(3, 'UTC')
) ENGINE = Distributed('one', 'tocsin', 'events_local', cityHash64(tenant, time));

CREATE TABLE IF NOT EXISTS tocsin.panes_local ON CLUSTER `one` (
  `tenant` LowCardinality(String) CODEC(ZSTD(1)),
  `monitor` LowCardinality(String) CODEC(ZSTD(1)),
  `series` FixedString(16) CODEC(ZSTD(1)),
  `time` Int64 CODEC(DoubleDelta, ZSTD(1)),
  `signal` LowCardinality(String) CODEC(ZSTD(1)),
  `value` Float64 CODEC(ZSTD(1)),
  `samples` Int64 CODEC(T64, ZSTD(1)),
  `score` Float64 CODEC(ZSTD(1)),
  `log10_p` Float64 CODEC(ZSTD(1)),
  `n_eff` Float64 CODEC(ZSTD(1)),
  `lower` Float64 CODEC(ZSTD(1)),
  `upper` Float64 CODEC(ZSTD(1)),
  `tick` Int64 CODEC(Delta, ZSTD(1)),
  `stored` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  INDEX by_stored stored TYPE minmax GRANULARITY 1,
  INDEX by_time time TYPE minmax GRANULARITY 1
) ENGINE = ReplicatedMergeTree('/clickhouse/tables/one/{shard}/tocsin/panes', '{replica}')
PARTITION BY intDiv(time, 86400000000000)
ORDER BY (tenant, monitor, series, time)
TTL toDateTime(stored) + INTERVAL 172800 SECOND TO VOLUME 'cold', toDateTime(stored) + INTERVAL 2592000 SECOND DELETE
SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, storage_policy = 'tiered';

CREATE TABLE IF NOT EXISTS tocsin.panes ON CLUSTER `one` (
  `tenant` LowCardinality(String),
  `monitor` LowCardinality(String),
  `series` FixedString(16),
  `time` Int64,
  `signal` LowCardinality(String),
  `value` Float64,
  `samples` Int64,
  `score` Float64,
  `log10_p` Float64,
  `n_eff` Float64,
  `lower` Float64,
  `upper` Float64,
  `tick` Int64,
  `stored` DateTime64(3, 'UTC')
) ENGINE = Distributed('one', 'tocsin', 'panes_local', cityHash64(tenant, series));

CREATE TABLE IF NOT EXISTS tocsin.states_local ON CLUSTER `one` (
  `tenant` LowCardinality(String) CODEC(ZSTD(1)),
  `series` FixedString(16) CODEC(ZSTD(1)),
  `time` Int64 CODEC(Delta, ZSTD(1)),
  `signal` LowCardinality(String) CODEC(ZSTD(1)),
  `state` LowCardinality(String) CODEC(ZSTD(1)),
  `since` Int64 CODEC(Delta, ZSTD(1)),
  `cadence` Int64 CODEC(ZSTD(1)),
  `tick` Int64 CODEC(Delta, ZSTD(1)),
  `stored` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1)),
  INDEX by_stored stored TYPE minmax GRANULARITY 1
) ENGINE = ReplicatedMergeTree('/clickhouse/tables/one/{shard}/tocsin/states', '{replica}')
PARTITION BY intDiv(time, 2592000000000000)
ORDER BY (tenant, series, time)
TTL toDateTime(stored) + INTERVAL 172800 SECOND TO VOLUME 'cold', toDateTime(stored) + INTERVAL 7776000 SECOND DELETE
SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, storage_policy = 'tiered';

CREATE TABLE IF NOT EXISTS tocsin.states ON CLUSTER `one` (
  `tenant` LowCardinality(String),
  `series` FixedString(16),
  `time` Int64,
  `signal` LowCardinality(String),
  `state` LowCardinality(String),
  `since` Int64,
  `cadence` Int64,
  `tick` Int64,
  `stored` DateTime64(3, 'UTC')
) ENGINE = Distributed('one', 'tocsin', 'states_local', cityHash64(tenant, series));

CREATE TABLE IF NOT EXISTS tocsin.findings_local ON CLUSTER `one` (
  `tenant` LowCardinality(String) CODEC(ZSTD(1)),
  `start` Int64 CODEC(ZSTD(1)),
  `id` FixedString(16) CODEC(ZSTD(1)),
  `phase` LowCardinality(String) CODEC(ZSTD(1)),
  `monitor` LowCardinality(String) CODEC(ZSTD(1)),
  `series` FixedString(16) CODEC(ZSTD(1)),
  `signal` LowCardinality(String) CODEC(ZSTD(1)),
  `end` Int64 CODEC(ZSTD(1)),
  `time` Int64 CODEC(ZSTD(1)),
  `value` Float64 CODEC(ZSTD(1)),
  `lower` Float64 CODEC(ZSTD(1)),
  `upper` Float64 CODEC(ZSTD(1)),
  `log10_p` Float64 CODEC(ZSTD(1)),
  `n_eff` Float64 CODEC(ZSTD(1)),
  `level` Float64 CODEC(ZSTD(1)),
  `direction` LowCardinality(String) CODEC(ZSTD(1)),
  `evidence` String CODEC(ZSTD(1)),
  `news` UInt64 CODEC(ZSTD(1)),
  `stored` DateTime64(3, 'UTC') CODEC(Delta, ZSTD(1))
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/one/{shard}/tocsin/findings', '{replica}', news)
PARTITION BY intDiv(start, 2592000000000000)
ORDER BY (tenant, id)
TTL toDateTime(stored) + INTERVAL 172800 SECOND TO VOLUME 'cold', toDateTime(stored) + INTERVAL 34560000 SECOND DELETE
SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, storage_policy = 'tiered';

CREATE TABLE IF NOT EXISTS tocsin.findings ON CLUSTER `one` (
  `tenant` LowCardinality(String),
  `start` Int64,
  `id` FixedString(16),
  `phase` LowCardinality(String),
  `monitor` LowCardinality(String),
  `series` FixedString(16),
  `signal` LowCardinality(String),
  `end` Int64,
  `time` Int64,
  `value` Float64,
  `lower` Float64,
  `upper` Float64,
  `log10_p` Float64,
  `n_eff` Float64,
  `level` Float64,
  `direction` LowCardinality(String),
  `evidence` String,
  `news` UInt64,
  `stored` DateTime64(3, 'UTC')
) ENGINE = Distributed('one', 'tocsin', 'findings_local', cityHash64(tenant, id));

CREATE TABLE IF NOT EXISTS tocsin.ledger_local ON CLUSTER `one` (
  `log` LowCardinality(String) CODEC(ZSTD(1)),
  `next` Int64 CODEC(ZSTD(1)),
  `rows` UInt64 CODEC(ZSTD(1)),
  `dead` UInt64 CODEC(ZSTD(1)),
  `stamp` Int64 CODEC(ZSTD(1))
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/one/{shard}/tocsin/ledger', '{replica}', stamp)
ORDER BY (log)
SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, storage_policy = 'tiered';

CREATE TABLE IF NOT EXISTS tocsin.ledger ON CLUSTER `one` (
  `log` LowCardinality(String),
  `next` Int64,
  `rows` UInt64,
  `dead` UInt64,
  `stamp` Int64
) ENGINE = Distributed('one', 'tocsin', 'ledger_local', cityHash64(log));

CREATE TABLE IF NOT EXISTS tocsin.cuts_local ON CLUSTER `one` (
  `log` LowCardinality(String) CODEC(ZSTD(1)),
  `first` Int64 CODEC(ZSTD(1)),
  `last` Int64 CODEC(ZSTD(1)),
  `stamp` Int64 CODEC(ZSTD(1))
) ENGINE = ReplicatedReplacingMergeTree('/clickhouse/tables/one/{shard}/tocsin/cuts', '{replica}', stamp)
ORDER BY (log)
SETTINGS index_granularity = 8192, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1, replicated_deduplication_window = 10000, replicated_deduplication_window_seconds = 2592000, storage_policy = 'tiered';

CREATE TABLE IF NOT EXISTS tocsin.cuts ON CLUSTER `one` (
  `log` LowCardinality(String),
  `first` Int64,
  `last` Int64,
  `stamp` Int64
) ENGINE = Distributed('one', 'tocsin', 'cuts_local', cityHash64(log));
