//! Settings of Postgres that have one value here, whoever asks in whatever way.

/// Settings and their values.
pub(crate) const FIXED: [(&str, &str); 17] = [
    ("block_size", "8192"),
    ("client_encoding", "UTF8"),
    ("default_table_access_method", "heap"),
    ("default_transaction_isolation", "repeatable read"),
    ("default_transaction_read_only", "on"),
    ("integer_datetimes", "on"),
    ("is_superuser", "off"),
    ("lc_collate", "C"),
    ("lc_ctype", "C"),
    ("max_identifier_length", "63"),
    ("max_index_keys", "32"),
    ("server_encoding", "UTF8"),
    ("server_version", "16.6"),
    ("server_version_num", "160006"),
    ("standard_conforming_strings", "on"),
    ("transaction_isolation", "repeatable read"),
    ("transaction_read_only", "on"),
];
