//! Whatever the seed: all figures are right, all that was planted is found, and nothing else is.

use crate::hub::Hub;
use crate::{demo, item_findings, reconcile, systems};

/// The first seed, and how many; `benches/seeds.sh` takes more.
const FIRST: u64 = 61;
const SEEDS: u64 = 5;

#[tokio::test]
async fn other_cities_give_their_own_figures_and_everything_that_was_planted() {
    let seeds = std::env::var_os("HUILIU_SEEDS").and_then(|text| text.to_str()?.parse().ok());
    for seed in FIRST..FIRST + seeds.unwrap_or(SEEDS) {
        println!("seed {seed}");
        let hub = Hub::shipped();
        let report = hub.demo(seed);
        demo::check_city(&hub, &report).await;
        reconcile::check_ledger(&hub, &report);
        item_findings::check_findings(&hub, &report);
        systems::check_systems(&hub, &report);
    }
}
