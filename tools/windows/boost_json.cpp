// Boost.JSON as one file, for builds without its library.
#include <boost/json/src.hpp>
