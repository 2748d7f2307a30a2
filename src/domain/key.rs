//! What the outside calls a pool.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Where seats are bought.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Provider {
    MicrosoftStore,
    AppleBusiness,
    Declared,
}

impl Provider {
    pub const ALL: [Self; 3] = [Self::MicrosoftStore, Self::AppleBusiness, Self::Declared];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::MicrosoftStore => "microsoft-store",
            Self::AppleBusiness => "apple-business",
            Self::Declared => "declared",
        }
    }

    /// An account's name in the one spelling that it has here: Microsoft's are GUIDs and domains, for which case and a dot
    /// behind them mean nothing; others are opaque.
    #[must_use]
    pub fn account_name(self, typed: &str) -> String {
        let name = typed.trim();
        match self {
            Self::MicrosoftStore => name.trim_end_matches('.').to_lowercase(),
            Self::AppleBusiness | Self::Declared => name.to_owned(),
        }
    }
}

impl FromStr for Provider {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|p| p.name() == text)
            .ok_or_else(|| format!("{text:?} is not a provider; use microsoft-store, apple-business or declared"))
    }
}

/// Whether the store keeps the license on line or the organization carries it off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LicenseType {
    Online,
    Offline,
}

/// The identity of a pool at its provider.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PoolKey {
    Microsoft { product_id: String, sku_id: String, license_type: LicenseType },
    Apple { unit_id: String, adam_id: String, pricing_param: String },
    Declared { sku: String },
}

impl PoolKey {
    #[must_use]
    pub fn provider(&self) -> Provider {
        match self {
            Self::Microsoft { .. } => Provider::MicrosoftStore,
            Self::Apple { .. } => Provider::AppleBusiness,
            Self::Declared { .. } => Provider::Declared,
        }
    }
}

impl fmt::Display for PoolKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Microsoft { product_id, sku_id, license_type } => {
                let kind = match license_type {
                    LicenseType::Online => "online",
                    LicenseType::Offline => "offline",
                };
                write!(f, "{product_id}:{sku_id}:{kind}")
            }
            Self::Apple { unit_id, adam_id, pricing_param } => write!(f, "apple:{unit_id}:{adam_id}:{pricing_param}"),
            Self::Declared { sku } => write!(f, "declared:{sku}"),
        }
    }
}

impl FromStr for PoolKey {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(sku) = text.strip_prefix("declared:") {
            return if sku.is_empty() {
                Err("a declared key needs a sku".into())
            } else {
                Ok(Self::Declared { sku: sku.into() })
            };
        }
        let parts: Vec<&str> = text.split(':').collect();
        match parts.as_slice() {
            ["apple", unit, adam, pricing] => {
                Ok(Self::Apple { unit_id: (*unit).into(), adam_id: (*adam).into(), pricing_param: (*pricing).into() })
            }
            [product, sku, kind @ ("online" | "offline")] => Ok(Self::Microsoft {
                product_id: (*product).into(),
                sku_id: (*sku).into(),
                license_type: if *kind == "online" { LicenseType::Online } else { LicenseType::Offline },
            }),
            [..] => Err(format!(
                "{text:?} is not a pool key; use <productId>:<skuId>:<online|offline>, apple:<uId>:<adamId>:<pricingParam> or declared:<sku>"
            )),
        }
    }
}
