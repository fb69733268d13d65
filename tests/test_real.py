"""On real images, where they are at hand: what is known of the start, and that a photograph finds its person."""

import numpy as np
import pytest

import resight

pytestmark = pytest.mark.real

SMALL = resight.EncoderSettings(height=128, width=64, last_stride=2)


@pytest.fixture(scope="module")
def market(real_data):
    return resight.load_dataset("market1501", real_data / "market1501-dev")


@pytest.fixture(scope="module")
def features(market):
    encoder = resight.Encoder(SMALL).eval()
    return resight.extract(encoder, market.query), resight.extract(encoder, market.gallery)


def test_the_imagenet_start_is_where_it_was_measured(market, features):
    report = resight.evaluate(*features, exclude=market.exclude, distractor_id=market.distractor_id)
    assert 0.06 < report.scores["mAP"] < 0.10
    assert 0.12 < report.scores["rank-1"] < 0.20
    assert report.scores["queries_without_match"] == 8


def test_re_ranking_helps_on_real_images(market, features):
    plain = resight.evaluate(*features, exclude=market.exclude, distractor_id=market.distractor_id)
    again = resight.evaluate(*features, exclude=market.exclude, distractor_id=market.distractor_id, rerank=True)
    assert again.scores["mAP"] > plain.scores["mAP"]


def test_clusters_of_real_images_are_far_purer_than_chance(market):
    rows = np.flatnonzero(market.train.person_ids < 300)
    some = market.train[rows]
    vectors = resight.extract(resight.Encoder(SMALL).eval(), some).embeddings
    found = resight.cluster(
        vectors, resight.ClusterSettings(k1=20, eps=0.5), people=some.person_ids, cameras=some.camera_ids
    )
    assert found.num_clusters > 20
    assert found.quality["ari"] > 0.3
