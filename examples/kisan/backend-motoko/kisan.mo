/// Kisan's back end in Motoko: what farmers are paid for their crops at the market.
///
/// An upgrade keeps the actor's memory as it is (enhanced orthogonal persistence). Everybody reads the prices; who controls the canister
/// sets them.

import Iter "mo:core/Iter";
import Map "mo:core/Map";
import Principal "mo:core/Principal";
import Text "mo:core/Text";

persistent actor {
  public type Price = {
    crop : Text;
    /// Rupees for 40 kilograms.
    price_pkr : Nat64;
  };

  transient let maxCrops = 200;
  /// Longest name of a crop, in characters.
  transient let maxName = 60;
  /// Nothing that grows is worth more: a slip of the pen.
  transient let maxPrice : Nat64 = 10_000_000;

  /// Crops, and what is paid for 40 kilograms.
  let all = Map.empty<Text, Nat64>();

  public query func health() : async Bool { true };

  public query func prices() : async [Price] {
    Iter.toArray(
      Iter.map(Map.entries(all), func((crop, price_pkr)) : Price = { crop; price_pkr })
    );
  };

  public shared ({ caller }) func set_price(price : Price) : async { #Ok; #Err : Text } {
    if (not Principal.isController(caller)) {
      return #Err("prices are set by who controls the canister");
    };
    let crop = Text.trim(price.crop, #char ' ');
    if (crop == "" or crop.size() > maxName) {
      return #Err("the name of a crop has 1 to 60 characters");
    };
    if (price.price_pkr == 0 or price.price_pkr > maxPrice) {
      return #Err("a price is from 1 to 10000000 rupees");
    };
    if (Map.size(all) >= maxCrops and not Map.containsKey(all, Text.compare, crop)) {
      return #Err("at most 200 crops");
    };
    Map.add(all, Text.compare, crop, price.price_pkr);
    #Ok;
  };
};
