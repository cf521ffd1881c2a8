"""REINFORCE on a corridor: Categorical by hand, saved log probabilities, discounted rewards."""

from collections import deque, namedtuple

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.distributions import Categorical

Transition = namedtuple("Transition", ("state", "action", "next_state", "reward"))


class Corridor:
    """Steps to the right are rewarded; the end is at 6."""

    def reset(self):
        self.at = 2
        return self.state()

    def state(self):
        return np.eye(7, dtype=np.float32)[self.at]

    def step(self, action):
        self.at = max(0, self.at + (1 if action else -1))
        return self.state(), 1.0 if self.at == 6 else -0.1, self.at in (0, 6)


class Policy(nn.Module):
    def __init__(self):
        super().__init__()
        self.affine1 = nn.Linear(7, 16)
        self.dropout = nn.Dropout(p=0.1)
        self.affine2 = nn.Linear(16, 2)
        self.saved_log_probs = []
        self.rewards = []

    def forward(self, x):
        return F.softmax(self.affine2(F.relu(self.dropout(self.affine1(x)))), dim=1)


torch.manual_seed(543)
policy = Policy()
optimizer = optim.Adam(policy.parameters(), lr=1e-2)
eps = np.finfo(np.float32).eps.item()
env, returns_seen = Corridor(), []
for episode in range(60):
    state = env.reset()
    for _ in range(30):
        probs = policy(torch.from_numpy(state).float().unsqueeze(0))
        m = Categorical(probs)
        action = m.sample()
        policy.saved_log_probs.append(m.log_prob(action))
        state, reward, done = env.step(action.item())
        policy.rewards.append(reward)
        if done:
            break
    R, returns = 0, deque()
    for r in policy.rewards[::-1]:
        R = r + 0.99 * R
        returns.appendleft(R)
    returns_seen.append(R)
    returns = torch.tensor(returns)
    if len(returns) > 1:
        returns = (returns - returns.mean()) / (returns.std() + eps)
    policy_loss = [-log_prob * R for log_prob, R in zip(policy.saved_log_probs, returns)]
    optimizer.zero_grad()
    policy_loss = torch.cat(policy_loss).sum()
    policy_loss.backward()
    optimizer.step()
    del policy.rewards[:]
    del policy.saved_log_probs[:]
print(sum(returns_seen[:10]) / 10, sum(returns_seen[-10:]) / 10)
assert sum(returns_seen[-10:]) > sum(returns_seen[:10])
