"""Networks: a cell is its equations. Names, parameter layouts, gate order and formulas are PyTorch's.

Dtypes mix as in NumPy: what a float32 model makes of float64 input is float64, so give it float32.
"""

from . import init as init
from .cells import GRUCell as GRUCell
from .cells import LSTMCell as LSTMCell
from .cells import RNNCell as RNNCell
from .cells import gru_step as gru_step
from .cells import gru_textbook_step as gru_textbook_step
from .cells import lstm_step as lstm_step
from .cells import rnn_step as rnn_step
from .layers import Embedding as Embedding
from .layers import Linear as Linear
from .losses import cross_entropy as cross_entropy
from .losses import mse_loss as mse_loss
from .module import Module as Module
from .module import ModuleList as ModuleList
from .module import Parameter as Parameter
from .optim import SGD as SGD
from .optim import Adam as Adam
from .optim import Optimizer as Optimizer
from .optim import clip_grad_norm_ as clip_grad_norm_
from .optim import clip_grad_value_ as clip_grad_value_
from .recurrent import GRU as GRU
from .recurrent import LSTM as LSTM
from .recurrent import RNN as RNN
from .recurrent import unroll as unroll
from .weights import load as load
from .weights import save as save
