"""Learn to balance a pole on a cart, from trying alone, with a deep Q-network.

The cart is pushed left or right 50 times a second; the pole must not fall and the cart must not
leave its track. The simulator is the one of Barto, Sutton and Anderson (1983), below in NumPy. The
network says what each push is worth; it learns from what it remembers, with a slow copy of itself
as the judge of what comes after (double DQN).
Result: 500 of 500 steps on average over 20 episodes, after 20,000 steps in 15 s.
Options: `python examples/pole_dqn.py --help`.
"""

from __future__ import annotations

import argparse
import copy
import time
from pathlib import Path

import numpy as np

import grad
import grad.nn.functional as F
from grad import nn, optim
from grad.utils import plot
from grad.utils.progress import progress

REQUIRED_STEPS = 400  # mean of the test episodes; an episode ends at 500, 10 seconds
LONGEST_EPISODE = 500
DISCOUNT, BATCH, MEMORY = 0.99, 128, 20_000
FIRST_CHANCE, LAST_CHANCE, EXPLORING_STEPS = 1.0, 0.05, 4000
WARMUP_STEPS, JUDGE_RATE = 500, 0.02


class Pole:
    """A pole that stands on a cart. The state: place and speed of the cart, of the pole's angle."""

    GRAVITY, CART_MASS, POLE_MASS, HALF_LENGTH = 9.8, 1.0, 0.1, 0.5  # m/s^2, kg, kg, m
    FORCE, SECONDS = 10.0, 0.02  # newtons of a push, time between two
    LARGEST_PLACE, LARGEST_ANGLE = 2.4, np.radians(12)

    def __init__(self, random: np.random.Generator) -> None:
        self.random = random

    def reset(self) -> np.ndarray:
        self.state = self.random.uniform(-0.05, 0.05, 4)
        return self.state.astype(np.float32)

    def step(self, action: int) -> tuple[np.ndarray, bool]:
        """Push left (0) or right (1): the state after it, and whether the pole has fallen."""
        _, speed, angle, turning = self.state
        force = self.FORCE if action else -self.FORCE
        mass = self.CART_MASS + self.POLE_MASS
        sine, cosine = np.sin(angle), np.cos(angle)
        push = (force + self.POLE_MASS * self.HALF_LENGTH * turning**2 * sine) / mass
        lever = self.HALF_LENGTH * (4 / 3 - self.POLE_MASS * cosine**2 / mass)
        angular = (self.GRAVITY * sine - cosine * push) / lever
        linear = push - self.POLE_MASS * self.HALF_LENGTH * angular * cosine / mass
        self.state = self.state + self.SECONDS * np.array([speed, linear, turning, angular])
        place, angle = self.state[0], self.state[2]
        fallen = abs(place) > self.LARGEST_PLACE or abs(angle) > self.LARGEST_ANGLE
        return self.state.astype(np.float32), bool(fallen)


class Memory:
    """The last transitions, in arrays that are written round and round."""

    def __init__(self, size: int) -> None:
        self.states = np.zeros((size, 4), np.float32)
        self.actions = np.zeros((size, 1), np.int64)
        self.next_states = np.zeros((size, 4), np.float32)
        self.fallen = np.zeros(size, np.float32)
        self.count = 0

    def add(self, state: np.ndarray, action: int, next_state: np.ndarray, fallen: bool) -> None:
        place = self.count % len(self.states)
        self.states[place], self.next_states[place] = state, next_state
        self.actions[place], self.fallen[place] = action, fallen
        self.count += 1

    def sample(self, random: np.random.Generator) -> list[grad.Tensor]:
        rows = random.integers(0, min(self.count, len(self.states)), BATCH)
        columns = (self.states, self.actions, self.next_states, self.fallen)
        return [grad.tensor(column[rows]) for column in columns]


class Agent:
    """The network, its slow copy and its training step."""

    def __init__(self, steps: int) -> None:
        self.network = nn.Sequential(
            nn.Linear(4, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, 2)
        )
        self.judge = copy.deepcopy(self.network)
        self.optimizer = optim.Adam(self.network.parameters(), lr=5e-4)
        self.schedule = optim.lr_scheduler.LinearLR(self.optimizer, 1.0, 0.05, total_iters=steps)
        self.learn = grad.compile(self._learn)
        self.worth = grad.compile(self.network)

    def act(self, state: np.ndarray) -> int:
        with grad.no_grad():
            return int(self.worth(grad.tensor(state)).argmax().item())

    def _learn(self, states, actions, next_states, fallen) -> grad.Tensor:
        with grad.no_grad():
            choice = self.network(next_states).argmax(1, keepdim=True)
            after = self.judge(next_states).gather(1, choice).squeeze(1)
            # Only a fall counts: what is to be learnt is near 0, where the network begins.
            target = DISCOUNT * (1 - fallen) * after - fallen
        self.optimizer.zero_grad()
        loss = F.smooth_l1_loss(self.network(states).gather(1, actions).squeeze(1), target)
        loss.backward()
        self.optimizer.step()
        with grad.no_grad():
            for slow, fast in zip(self.judge.parameters(), self.network.parameters()):
                slow.lerp_(fast, JUDGE_RATE)
        return loss


def train(agent: Agent, steps: int, warmup: int, random: np.random.Generator) -> list[int]:
    """Play and learn; returns how long each episode lasted."""
    pole, memory, lengths = Pole(random), Memory(MEMORY), []
    state, length = pole.reset(), 0
    for step in (watched := progress(range(steps), "training")):
        explored = min(step / EXPLORING_STEPS, 1)
        chance = FIRST_CHANCE + (LAST_CHANCE - FIRST_CHANCE) * explored
        action = int(random.integers(2)) if random.random() < chance else agent.act(state)
        next_state, fallen = pole.step(action)
        memory.add(state, action, next_state, fallen)
        state, length = next_state, length + 1
        if fallen or length == LONGEST_EPISODE:
            lengths.append(length)
            state, length = pole.reset(), 0
        if step >= warmup:
            loss = agent.learn(*memory.sample(random))
            agent.schedule.step()
            watched.set_postfix(loss=loss, steps=np.mean(lengths[-10:] or [0]))
    return lengths


def test(agent: Agent, episodes: int, random: np.random.Generator) -> float:
    """How long the pole stands on average when nothing is left to chance."""
    total = 0
    for _ in range(episodes):
        pole = Pole(random)
        state, fallen = pole.reset(), False
        for _ in range(LONGEST_EPISODE):
            state, fallen = pole.step(agent.act(state))
            if fallen:
                break
            total += 1
    return total / episodes


def main() -> None:
    parser = argparse.ArgumentParser(description="Balance a pole with a deep Q-network.")
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="few steps, to see that it runs")
    parser.add_argument("--output", type=Path, default=Path("build/examples"))
    options = parser.parse_args()

    grad.manual_seed(options.seed)
    random = np.random.default_rng(options.seed)
    steps, warmup = (400, 200) if options.quick else (options.steps, WARMUP_STEPS)
    agent = Agent(steps)
    started = time.perf_counter()
    lengths = train(agent, steps, warmup, random)
    seconds = time.perf_counter() - started
    mean = test(agent, 1 if options.quick else 20, random)
    print(f"training       {len(lengths)} episodes, {seconds:.1f} s")
    print(f"test           {mean:.0f} of {LONGEST_EPISODE} steps on average")
    options.output.mkdir(parents=True, exist_ok=True)
    picture = options.output / "pole.png"
    plot.curves(lengths, picture, smooth=10, xlabel="episode", ylabel="steps the pole stood")
    print(f"picture        {picture}")
    if not options.quick and mean < REQUIRED_STEPS:
        raise SystemExit(f"the pole stood less than {REQUIRED_STEPS} steps, which this must reach")


if __name__ == "__main__":
    main()
