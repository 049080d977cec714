/// A message queue in shared memory, from one process to one other.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

namespace demo {

/// Either side may be killed at any instruction. A message is there once `tail` says so, and counts as read only when
/// the reader says `pop`, after dealing with it: the successor of a killed reader gets the message in hand once more.
template <class Message, std::uint32_t Capacity>
class Ring {
    static_assert((Capacity & (Capacity - 1)) == 0);

public:
    [[nodiscard]] std::uint32_t room() const noexcept {
        return Capacity - (tail_.load(std::memory_order_relaxed) - head_.load(std::memory_order_acquire));
    }
    bool push(const Message& message) noexcept {
        if (room() == 0) return false;
        const std::uint32_t tail = tail_.load(std::memory_order_relaxed);
        slots_[tail % Capacity] = message;
        tail_.store(tail + 1, std::memory_order_release);
        return true;
    }
    [[nodiscard]] const Message* front() const noexcept {
        const std::uint32_t head = head_.load(std::memory_order_relaxed);
        return head == tail_.load(std::memory_order_acquire) ? nullptr : &slots_[head % Capacity];
    }
    void pop() noexcept { head_.store(head_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

private:
    alignas(64) std::atomic<std::uint32_t> head_{0};
    alignas(64) std::atomic<std::uint32_t> tail_{0};
    alignas(64) std::array<Message, Capacity> slots_{};
};

}  // namespace demo
