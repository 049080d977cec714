/// The verbs around the trading day that take files from outside: load and reconcile.
#pragma once

#include "riskctl/verbs.hpp"

namespace riskctl {

struct ReconcileOptions {
    std::string file;
    std::string mode = "report";
    bool apply = false;   ///< the same as mode `correct`
};

int load(const Common& common, const std::string& file);
int reconcile(const Common& common, const ReconcileOptions& options);

}  // namespace riskctl
