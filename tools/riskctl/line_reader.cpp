#include "riskctl/line_reader.hpp"

#include <string_view>

#include "common/program.hpp"

namespace riskctl {

bool LineReader::fill() {
    char chunk[65536];
    for (;;) {
        const std::size_t size = input_.read(chunk, sizeof chunk);
        if (size == 0) return false;
        buffer_.erase(0, at_);
        at_ = 0;
        buffer_.append(chunk, size);
        if (!begun_ && !skip_mark()) continue;
        return true;
    }
}

/// False while what has come may still be the beginning of a byte order mark.
bool LineReader::skip_mark() {
    constexpr std::string_view mark = "\xEF\xBB\xBF";
    if (buffer_.size() < mark.size() && mark.starts_with(buffer_)) return false;
    begun_ = true;
    if (buffer_.starts_with(mark)) buffer_.erase(0, mark.size());
    return true;
}

LineReader::Next LineReader::next(std::string& line) {
    bool too_long = false;
    for (;;) {
        if (riskreg::program::end_wanted()) return Next::end;
        const std::size_t end = buffer_.find('\n', at_);
        const bool whole = end != std::string::npos;
        too_long = too_long || (whole ? end : buffer_.size()) - at_ > kMaxBytes;
        if (whole) {
            line.assign(buffer_, at_, too_long ? 0 : end - at_);
            at_ = end + 1;
            return too_long ? Next::too_long : Next::line;
        }
        if (too_long) at_ = buffer_.size();   // keep nothing of what is to be skipped
        if (fill()) continue;
        // The last line may come without its end.
        if (riskreg::program::end_wanted() || (at_ == buffer_.size() && !too_long)) return Next::end;
        line.assign(buffer_, at_, std::string::npos);
        at_ = buffer_.size();
        return too_long ? Next::too_long : Next::line;
    }
}

}  // namespace riskctl
