//! Looking at a database without reading its data.

use huiliu_sdk::Cx;
use serde_json::json;

use crate::support::{Database, KINDS, Kind};

const TABLES: &str = "create table up_pro_accept (row_guid varchar(50) not null, \
    fee decimal(12,2), update_time timestamp, primary key (row_guid)); \
    create table upxproyaccept (other int); create view seen as select fee from up_pro_accept;";
