//! A small city that runs in the test, and a hub that knows how to reach it.

use std::collections::BTreeMap;

use huiliu_city::{CityOptions, Credentials, RunningCity};

use crate::hub::{Done, Hub};

/// A small city that runs, and a hub that knows how to reach it.
struct World {
    hub: Hub,
    keys: Credentials,
    env: BTreeMap<&'static str, String>,
    secrets: BTreeMap<&'static str, String>,
    _city: RunningCity,
}

impl World {
    async fn new(seed: u64) -> Self {
        let hub = Hub::edited();
        let folder = hub.city();
        std::fs::create_dir_all(&folder).unwrap();
        huiliu_city::generate(&folder, &CityOptions { seed, scale: 0.02 }).await.unwrap();
        let city = huiliu_city::start(&folder).await.unwrap();
        let keys = huiliu_city::credentials(&folder).unwrap();
        let env = BTreeMap::from([
            ("CITY_FOLDER", folder.display().to_string()),
            ("PROVINCE_URL", city.province_url.clone()),
            ("INVESTMENT_URL", city.investment_url.clone()),
        ]);
        let secrets = BTreeMap::from([
            ("province_app_key", keys.province_app_key.clone()),
            ("province_app_secret", keys.province_app_secret.clone()),
            ("investment_api_key", keys.investment_api_key.clone()),
        ]);
        let world = Self { hub, keys, env, secrets, _city: city };
        world.write(&world.env, &world.secrets);
        world
    }

    fn write(
        &self,
        env: &BTreeMap<&'static str, String>,
        secrets: &BTreeMap<&'static str, String>,
    ) {
        for (file, pairs) in [("env", env), ("secrets", secrets)] {
            let lines: Vec<String> =
                pairs.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
            std::fs::write(self.hub.data().join(file), lines.concat()).unwrap();
        }
    }

    /// Another value for a name of `env` or `secrets`, or none.
    fn set(&self, name: &str, value: Option<&str>) {
        let (mut env, mut secrets) = (self.env.clone(), self.secrets.clone());
        for pairs in [&mut env, &mut secrets] {
            match value {
                Some(value) => {
                    pairs.entry_of(name, value);
                }
                None => {
                    pairs.remove(name);
                }
            }
        }
        self.write(&env, &secrets);
    }

    fn mend(&self) {
        self.write(&self.env, &self.secrets);
    }

    /// Runs and makes sure that no secret is in what is said.
    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Done {
        let done = self.hub.run(arguments);
        let keys = &self.keys;
        for secret in [&keys.province_app_key, &keys.province_app_secret, &keys.investment_api_key]
        {
            assert!(!done.said().contains(secret.as_str()), "a secret was printed");
        }
        assert!(!done.said().contains(WRONG), "a secret was printed");
        done
    }
}
