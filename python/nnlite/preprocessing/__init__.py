"""Old names of functions of `nnlite.utils` that read and prepare data."""

from nnlite.preprocessing import image as image
from nnlite.preprocessing import sequence as sequence
from nnlite.utils.folders import image_dataset_from_directory as image_dataset_from_directory
from nnlite.utils.folders import text_dataset_from_directory as text_dataset_from_directory
from nnlite.utils.timeseries import timeseries_dataset_from_array as timeseries_dataset_from_array
